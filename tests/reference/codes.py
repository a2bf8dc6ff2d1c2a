"""Reads rows of bytes in plain NumPy."""

import numpy as np

from fastrec.compression import BinaryCodec, Float16Codec, Int4Codec, Int8Codec, ProductQuantizer


def decode(codec, rows):
    """Returns the vectors that rows of a codec stand for, as float64."""
    width = codec.bytes_per_vector_ - 4 * codec.exact_columns_
    coordinates = read_level(codec, rows[:, :width].copy())
    if codec.rotation_ is not None:
        coordinates = coordinates @ codec.rotation_.T.astype(np.float64)
    return np.concatenate([coordinates, rows[:, width:].copy().view("<f4").reshape(len(rows), -1)], axis=1)


def read_level(codec, rows):
    d, unit = codec.n_features_in_ - codec.exact_columns_, codec.unit_
    if isinstance(codec, Float16Codec):
        return rows.view("<f2").astype(np.float64) * unit
    if isinstance(codec, Int8Codec):
        levels = rows[:, :d].astype(np.float64)
        numbers = np.ascontiguousarray(rows[:, -(-d // 4) * 4 :]).view("<f4").astype(np.float64)
        if codec.symmetric:
            return (levels - 128) * numbers[:, :1]
        return numbers[:, 1:] + levels * numbers[:, :1]
    if isinstance(codec, Int4Codec):
        size = codec.group_size or d + d % 2
        size = min(size, d + d % 2)
        groups = -(-d // size)
        codes = rows[:, : groups * size // 2].reshape(len(rows), groups, size // 2)
        levels = np.concatenate([codes & 15, codes >> 4], axis=2) - 7.5
        return (levels * codec.steps_[rows[:, groups * size // 2 :]][:, :, None]).reshape(len(rows), -1)[:, :d]
    if isinstance(codec, ProductQuantizer):
        parts, codes = len(codec.centroids_), rows[:, :-1]
        if codec.bits == 4:
            codes = np.stack([codes & 15, codes >> 4], axis=2).reshape(len(rows), -1)[:, :parts]
        cuts = [part * d // parts for part in range(parts + 1)]
        picked = [codec.centroids_[p, codes[:, p], : cuts[p + 1] - cuts[p]] for p in range(parts)]
        return np.concatenate(picked, axis=1) * codec.steps_[rows[:, -1:]].astype(np.float64)
    if isinstance(codec, BinaryCodec):
        bits = np.unpackbits(rows[:, :-1], axis=1, bitorder="little")[:, :d]
        return (2.0 * bits - 1) * codec.steps_[rows[:, -1:]]
    width = codec.coarse_.bytes_per_vector_
    return read_level(codec.coarse_, rows[:, :width].copy()) + read_level(codec.fine_, rows[:, width:].copy())
