#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the inputs that the fuzzers begin with, one file each, into test/fuzz/corpus: usage: make_corpus.py"""
import pathlib
import random
import struct
import zlib

CORPUS = pathlib.Path(__file__).parent / "corpus"


def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value)


def string(text):
    return u64(len(text)) + text.encode()


def key(name, kind, value):
    return string(name) + u32(kind) + value


def array(name, kind, count, values):
    return key(name, 9, u32(kind) + u64(count) + values)


def tensor(name, shape, dtype, offset):
    return string(name) + u32(len(shape)) + b"".join(map(u64, shape)) + u32(dtype) + u64(offset)


def gguf(tensors=(), metadata=(), data=64, version=3, alignment=32):
    head = b"GGUF" + u32(version) + u64(len(tensors)) + u64(len(metadata)) + b"".join([*metadata, *tensors])
    return head + bytes(-len(head) % alignment) + bytes(data)


def gguf_files():
    sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8]
    scalars = [key(f"s{kind}", kind, b"\1" + bytes(size - 1)) for kind, size in enumerate(sizes) if size]
    arrays = [array(f"a{kind}", kind, 3, bytes(3 * size)) for kind, size in enumerate(sizes) if size]
    one = tensor("t", [4], 0, 0)
    yield "empty", gguf()
    yield "version_2", gguf([one], version=2)
    yield "version_1", gguf([one], version=1)
    yield "one_tensor", gguf([one])
    yield "two_tensors", gguf([one, tensor("u", [8], 1, 32)])
    yield "overlap", gguf([one, tensor("u", [4], 0, 8)])
    yield "same_names", gguf([one, one])
    yield "past_the_end", gguf([tensor("t", [64], 0, 0)])
    yield "quantized", gguf([tensor("q", [256, 2, 1, 1], 12, 0)], data=288)
    yield "ranks", gguf([tensor(str(rank), [1] * rank, 24, rank) for rank in range(5)])
    yield "rank_5", gguf([tensor("t", [1] * 5, 24, 0)])
    yield "no_elements", gguf([tensor("t", [0, 7], 0, 1000000)])
    yield "product_wraps", gguf([tensor("t", [1 << 32, 1 << 32], 0, 0)])
    yield "offset_wraps", gguf([tensor("t", [1], 0, (1 << 64) - 64)])
    yield "scalars", gguf([one], scalars)
    yield "arrays", gguf([one], arrays)
    yield "strings", gguf([one], [key("k", 8, string("value")), array("a", 8, 3, string("x") + string("") + string("yy"))])
    yield "alignment_64", gguf([one], [key("general.alignment", 4, u32(64))], alignment=64)
    yield "alignment_0", gguf([one], [key("general.alignment", 4, u32(0))])
    yield "alignment_type", gguf([one], [key("general.alignment", 10, u64(1 << 63))])
    yield "same_keys", gguf([], [key("k", 4, u32(1)), key("k", 4, u32(1))])
    yield "split", gguf([one], [key("split.no", 2, b"\0\0"), key("split.count", 2, b"\2\0"),
                                key("split.tensors.count", 5, u32(2))])
    yield "array_of_arrays", gguf([], [array("a", 9, 1, u32(4) + u64(0))])
    yield "array_too_long", gguf([], [array("a", 8, 1 << 61, b"")])
    yield "array_cut", gguf([], [array("a", 8, 20, 8 * string("twelve bytes") + bytes(4))], data=0, alignment=1)
    yield "string_too_long", gguf([], [key("k", 8, u64((1 << 64) - 1))])
    yield "counts_too_large", b"GGUF" + u32(3) + u64(1 << 63) + u64(1 << 61)
    yield "cut", gguf([one, tensor("u", [8], 1, 32)], scalars)[:120]


def member(name, dtype, shape, begin, end):
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}'


def text(members, data=0):
    return ("{" + ",".join(members) + "}\n" + "." * data).encode()


def safetensors_files():
    one = member("a", "U8", [4], 0, 4)
    yield "empty", text([])
    yield "one_tensor", text([one], 4)
    yield "two_tensors", text([one, member("b", "F32", [1, 2], 4, 12)], 12)
    yield "metadata", text(['"__metadata__":{"format":"pt","x":"\\u00e9"}', one], 4)
    yield "no_text_in_metadata", text(['"__metadata__":{"format":1}', one], 4)
    yield "hole", text([one, member("b", "U8", [1], 5, 6)], 6)
    yield "overlap", text([one, member("b", "U8", [4], 2, 6)], 6)
    yield "overlap_of_the_sum", text([one, member("b", "U8", [4], 2, 6)], 8)
    yield "too_much_data", text([one], 5)
    yield "too_little_data", text([one], 3)
    yield "same_keys", text([one, one], 4)
    yield "no_elements", text([member("a", "I64", [0, 3], 0, 0)])
    yield "scalar", text([member("a", "BF16", [], 0, 2)], 2)
    yield "every_type", text([member(name, name, [8], 8 * at, 8 * at + 8) for at, name in
                              enumerate(["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"])], 40)
    yield "product_wraps", text([member("a", "U8", [1 << 32, 1 << 32], 0, 0)])
    yield "end_before_begin", text([member("a", "U8", [1], 4, 0)], 4)
    yield "large_offsets", text([member("a", "U8", [1], (1 << 63) - 2, (1 << 63) - 1)], 1)
    yield "negative", text([member("a", "U8", [-1], -1, 0)], 1)
    yield "ranks", text([member("a", "U8", [1] * 9, 0, 1)], 1)
    yield "fraction", text(['"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1e0]}'], 1)
    yield "unknown_member", text(['"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":[]}'], 1)
    yield "padded", b"{" + one.encode() + b"}    \n...."
    yield "nested", b'{"a":' + b"[" * 60
    header = b"{" + one.encode() + b"}"
    yield "whole_file", u64(len(header)) + header + b"...."
    yield "length_too_large", u64(1 << 63) + header
    yield "length_too_long", u64(len(header) + 9) + header


def index(members):
    return ('{"metadata":{"total_size":33},"weight_map":{' + ",".join(members) + "}}\n").encode()


def index_files():
    yield "model", index(['"a":"1.safetensors"', '"b":"1.safetensors"'])
    yield "shards", index(['"a":"2.safetensors"', '"b":"1.safetensors"', '"c":"2.safetensors"'])
    yield "missing", index(['"c":"1.safetensors"'])
    yield "empty_map", index([])
    yield "no_map", b'{"metadata":{}}'
    yield "no_object", b"[]"
    yield "map_of_numbers", index(['"a":1'])
    yield "same_keys", index(['"a":"1"', '"a":"1"'])
    yield "upward", index(['"a":"../1"'])
    yield "absolute", index(['"a":"/1"'])
    yield "backslash", index(['"a":"c:\\\\1"'])
    yield "dots", index(['"a":".."'])
    yield "no_name", index(['"a":""'])
    yield "nul_in_name", index(['"a":"1\\u0000"'])
    yield "escapes", index(['"\\u0061\\ud83d\\ude00":"\\u0031"'])
    yield "bad_utf8", b'{"weight_map":{"\xff":"1"}}'
    yield "spaces", b' \t\r\n{ "weight_map" : { "a" : "1" , "b" : "1" } } \n'
    yield "cut", index(['"a":"1.safetensors"'])[:40]
    yield "more_behind", index(['"a":"1"']) + b"{}"


def laid(name="a", dtype="u8", shape="[4]", file="a.bin", offset=0, size=4):
    return (f'{{"name":"{name}","dtype":"{dtype}","shape":{shape},"file":"{file}","offset":{offset},'
            f'"size":{size}}}')


def layout(rows, version=1, more=""):
    return (f'{{"tresor_layout":{version},"tensors":[' + ",".join(rows) + f"]{more}}}\n").encode()


def layout_files():
    yield "one_tensor", layout([laid()])
    yield "two_files", layout([laid(file="b.bin"), laid("b"), laid("c", file="b.bin", offset=4)])
    yield "overlap", layout([laid(), laid("b", offset=2)])
    yield "quantized", layout([laid(dtype="q4_0", shape="[2,32]", size=36)])
    yield "half_a_block", layout([laid(dtype="q4_0", shape="[32,2]", size=36)])
    yield "scalar", layout([laid(dtype="f32", shape="[]")])
    yield "no_elements", layout([laid(shape="[0,7]", offset=1 << 40, size=0)])
    yield "ranks", layout([laid(shape=str([1] * 9), size=1)])
    yield "same_names", layout([laid(), laid(offset=8)])
    yield "no_name", layout([laid("")])
    yield "nul_in_name", layout([laid("a\\u0000")])
    yield "other_size", layout([laid(size=5)])
    yield "past_the_end", layout([laid(offset=1 << 30)])
    yield "end_wraps", layout([laid(offset=(1 << 63) - 2)])
    yield "too_large", layout([laid(offset=1 << 64)])
    yield "negative", layout([laid(offset=-1)])
    yield "product_wraps", layout([laid(shape=str([1 << 32, 1 << 32]), size=0)])
    yield "unknown_type", layout([laid(dtype="u9")])
    yield "upward", layout([laid(file="../a.bin")])
    yield "absolute", layout([laid(file="/a.bin")])
    yield "dots", layout([laid(file="..")])
    yield "nul_in_file", layout([laid(file="a\\u0000")])
    yield "no_tensors", layout([])
    yield "no_list", b'{"tresor_layout":1,"tensors":{}}'
    yield "no_row", b'{"tresor_layout":1,"tensors":[[1]]}'
    yield "no_version", b'{"tresor_layout":"1","tensors":[]}'
    yield "version", layout([laid()], 2)
    yield "more_members", layout([laid()], 1, ',"x":1')
    yield "cut", layout([laid()])[:50]


def layers(*rows, data=64, count=None, version=1, magic=b"IAMT", name=b"model", unused=0):
    head = magic + u32(version) + u32(len(rows) if count is None else count) + u32(unused) + name.ljust(240, b"\0")
    return head + b"".join(u32(at) + u32(size) + u32(bits) + bytes(20) for at, size, bits in rows) + bytes(data)


def tmai_files():
    yield "empty", layers(data=0)
    yield "one_layer", layers((288, 64, 4))
    yield "two_layers", layers((320, 32, 8), (352, 32, 16))
    yield "any_order", layers((352, 32, 32), (320, 32, 2))
    yield "padding", layers((320, 1, 1), (384, 64, 32), data=128)
    yield "pages", layers((4096, 4096, 4), (8192, 4, 32), data=12288 - 320)
    yield "hole", layers((320, 1, 4), (321 + 4096, 1, 4), data=4098)
    yield "overlap", layers((320, 33, 4), (352, 32, 4))
    yield "on_the_table", layers((287, 1, 4))
    yield "past_the_end", layers((288, 65, 4))
    yield "end_wraps", layers(((1 << 32) - 32, 96, 4))
    yield "counts_too_large", layers(count=(1 << 32) - 1)
    yield "no_bytes", layers((288, 0, 4))
    yield "precision_0", layers((288, 64, 0))
    yield "precision_3", layers((288, 64, 3))
    yield "unaligned", layers((290, 60, 32))
    yield "version_2", layers((288, 64, 4), version=2)
    yield "other_order", layers((288, 64, 4), magic=b"TMAI", version=1 << 24)
    yield "endless_name", layers((288, 64, 4), name=b"a" * 64)
    yield "unused", layers((288, 64, 4), unused=1)
    yield "cut", layers((288, 64, 4))[:270]


def script_files():
    """The knobs, then choices, of which more and more are left to the seed."""
    yield "nothing", b""
    for number in range(18):
        chance = random.Random(number)
        knobs = struct.pack("<QBHBBHHHB", number + 1, number % 3, 60 + 8 * number, number % 4, 1 << number % 6,
                            [100, 512, 4096, 60000][number % 4], 1 + chance.randrange(400), number % 2 * 30, number % 2)
        yield f"world_{number:02}", knobs + bytes(chance.randrange(256) for _ in range(40 * (number % 6)))


def lines(*bodies):
    return "".join(body + "\n" for body in bodies).encode()


HEADER_LINE = (
    '{"trace": "tresor", "version": 1, "library": "0.1.0", "code": 0, "page_bytes": 4096, "seams_max": '
    '32765, "options": {"strategy": "0x2", "sources_max": "0", "requests_max": "0", "items_max": "0", '
    '"waits_max": "0", "blocks_max": "0", "dispatch_max": "0x8", "policy": "0x1", "block_bytes": "0", '
    '"populate_bytes": "0x800000", "backend": "0x1", "threads_max": "0", "direct": "0", "stages_max": '
    '"0", "stage_bytes": "0", "spare_bytes": "0", "budget_bytes": "0", "numa": "0", "pressure": "0", '
    '"numa_nodes": "0"}'
)


def trace_files():
    """Lines without their sums and last braces."""
    call = '{"call": "%s", "elsewhere": false'
    effect = '"machine": "source", "source": 0, "slot": 0, "file": 0, "space": 2, "flags": 0, "place": 0, "offset": 0'
    yield "nothing", b""
    yield "open", lines(call % "open" + ', "path": "m.gguf"',
                        '{"returned": "open", "code": 0, "source": "0x1000000000000001", "request": "0x2000000000000001"')
    yield "open_with", lines(call % "open_with" + ', "path": "m.apk", "origin": 0, "descriptor": 0, "offset_bytes": 8192, '
                             '"length_bytes": 1000, "content": 1')
    yield "open_with_memory", lines(call % "open_with" + ', "path": "m", "origin": 2, "descriptor": 7, "offset_bytes": '
                                    '"0xffffffffffffffff", "length_bytes": 0, "content": 0')
    yield "path", lines(call % "open" + ', "path": "a%0A%C3%A9%25"')
    yield "path_cut", lines(call % "open" + ', "path": "a%0"')
    yield "path_nul", lines(call % "open" + ', "path": "a%00"')
    yield "calls", lines(*(call % name for name in ("next_event", "dispatch", "get_fd", "destroy")))
    yield "elsewhere", lines('{"call": "dispatch", "elsewhere": true')
    yield "load", lines(call % "load" + ', "items": ["0x3000000000000001", "7"], "flags": 0, "strategy": 0, "urgency": 0')
    yield "load_bad_item", lines(call % "load" + ', "items": ["-1"], "flags": 0, "strategy": 0, "urgency": 0')
    yield "load_no_list", lines(call % "load" + ', "items": 1, "flags": 0, "strategy": 0, "urgency": 0')
    yield "close", lines(call % "close" + ', "source": "0x1000000000000001"')
    yield "unknown_call", lines(call % "frobnicate")
    yield "effect", lines('{"effect": 1, "kind": "READ", ' + effect + ', "length": 10752')
    yield "poll", lines('{"poll": 7, "starts_left": 2, "refused_errno": 0, "answers": 1', '{"answer": 1, "os_errno": 0, "value": 0')
    yield "poll_negative", lines('{"poll": -1, "starts_left": 2, "refused_errno": 0, "answers": 1')
    yield "facts", lines('{"answer": 2, "os_errno": 0, "value": 0, "facts": ["0xfe00", "0xa7e0ae", "0x2a00"]')
    yield "facts_too_many", lines('{"answer": 2, "os_errno": 0, "value": 0, "facts": [' + ", ".join(['"0"'] * 40) + "]")
    yield "bytes", lines('{"answer": 4, "os_errno": 0, "value": 4, "bytes": "R0dVRg=="')
    yield "bytes_bad", lines('{"answer": 4, "os_errno": 5, "value": 4, "bytes": "R0dV=g=="')
    yield "pending", lines('{"pending": true', '{"pending": false')
    yield "pending_no_truth", lines('{"pending": 1')
    yield "step", lines('{"sequence": 1, "machine": "request", "slot": 0, "from": "FREE", "event": "SUBMIT", "to": "PENDING"')
    yield "time", lines('{"pending": true, "time_us": 123456')
    yield "end_within", lines('{"end": 1', '{"pending": true')
    yield "no_object", lines("", "x", "{")
    yield "header", lines(HEADER_LINE)
    yield "header_version", lines(HEADER_LINE.replace('"version": 1', '"version": 2'))
    yield "header_cut", HEADER_LINE[:100].encode()


def member_of_gzip(data, level=9):
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def block_of_zstd(kind, size, data, last=True):
    return struct.pack("<I", int(last) | kind << 1 | size << 3)[:3] + data


def frame_of_zstd(*blocks, size=None):
    head = b"\x20" + bytes([size]) if size is not None else b"\x00\x58"  # one segment, or a window of 2 MiB
    return b"\x28\xb5\x2f\xfd" + head + b"".join(blocks)


def frame_of_lz4(*blocks, head=b"\x60\x40\x82"):  # flags, size of blocks, and the checksum of these two
    return b"\x04\x22\x4d\x18" + head + b"".join(blocks) + u32(0)


def skippable(data, number=0):
    return u32(0x184D2A50 + number) + u32(len(data)) + data


def decode_files():
    data = gguf([tensor("t", [4], 0, 0)])
    raw = frame_of_zstd(block_of_zstd(0, 5, b"hello"))
    stored = frame_of_lz4(u32(1 << 31 | 5) + b"hello")
    yield "gzip", member_of_gzip(data)
    yield "gzip_stored", member_of_gzip(data, 0)
    yield "gzip_empty", member_of_gzip(b"")
    yield "gzip_two", member_of_gzip(b"one") + member_of_gzip(b"two")
    yield "gzip_cut", member_of_gzip(data)[:-5]
    yield "gzip_junk", member_of_gzip(data) + b"junk behind"
    yield "gzip_bomb", member_of_gzip(bytes(1 << 20))
    yield "gzip_bad_sum", member_of_gzip(data)[:-8] + bytes(4) + member_of_gzip(data)[-4:]
    yield "zstd_raw", raw
    yield "zstd_size", frame_of_zstd(block_of_zstd(0, 5, b"hello"), size=5)
    yield "zstd_wrong_size", frame_of_zstd(block_of_zstd(0, 5, b"hello"), size=6)
    yield "zstd_two", raw + raw
    yield "zstd_empty", frame_of_zstd(block_of_zstd(0, 0, b""))
    yield "zstd_cut", raw[:-2]
    yield "zstd_junk", raw + b"junk behind"
    yield "zstd_bomb", frame_of_zstd(*[block_of_zstd(1, 1 << 17, b"x", last=i == 7) for i in range(8)])
    yield "zstd_block_too_large", frame_of_zstd(block_of_zstd(1, (1 << 17) + 1, b"x"))
    yield "zstd_block_of_no_kind", frame_of_zstd(block_of_zstd(3, 5, b"hello"))
    yield "zstd_window_too_large", b"\x28\xb5\x2f\xfd\x00\xf8" + block_of_zstd(0, 5, b"hello")
    yield "zstd_dictionary", b"\x28\xb5\x2f\xfd\x21\x07\x05" + block_of_zstd(0, 5, b"hello")
    yield "zstd_seekable", raw + skippable(u32(len(raw)) + u32(5) + u32(1) + b"\0" + u32(0x8F92EAB1), 14)
    yield "skippable_zstd", skippable(b"said before") + raw
    yield "skippable_lz4", skippable(b"", 15) + skippable(b"x") + stored
    yield "skippable_alone", skippable(b"nothing")
    yield "skippable_cut", skippable(bytes(9))[:-3]
    yield "skippable_too_long", u32(0x184D2A50) + u32(0xFFFFFFFF) + raw
    yield "lz4_stored", stored
    yield "lz4_two", stored + stored
    yield "lz4_empty", frame_of_lz4()
    yield "lz4_match", frame_of_lz4(u32(17) + b"\x14x\1\0\xc0and no more.")
    yield "lz4_before_the_start", frame_of_lz4(u32(17) + b"\x14x\7\0\xc0and no more.")
    yield "lz4_bad_header", frame_of_lz4(head=b"\x60\x40\x83")
    yield "lz4_cut", stored[:-5]
    yield "lz4_junk", stored + b"junk behind"


def main():
    for name, files in {"gguf": gguf_files, "safetensors": safetensors_files, "index": index_files, "layout": layout_files,
                        "decode": decode_files, "script": script_files, "tmai": tmai_files, "trace": trace_files}.items():
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in files():
            (folder / file).write_bytes(data)


main()
