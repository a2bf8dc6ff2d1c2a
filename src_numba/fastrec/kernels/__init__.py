"""The kernels of fastrec: arrays in, arrays of the caller filled. They know no classes and check nothing."""
