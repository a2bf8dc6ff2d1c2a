"""The kernels of fastrec: functions that fill arrays of the caller. They know no classes and check nothing."""
