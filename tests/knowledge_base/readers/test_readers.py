"""Readers on tiny files made here."""

from __future__ import annotations

import io
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_base.readers import (
    Arrays,
    CitiesByCountry,
    CodingOrNot,
    FacesAndOthers,
    MoleculeProperty,
    NextBase,
    Peptides,
    PixelRows,
    SpeciesOfWindow,
    Table,
    TexturePatches,
    TimeSeriesFile,
    WikiPages,
    WordsByLanguage,
    msgpack,
)
from knowledge_base.readers.characters import PRINTABLE, encode, labelled_strings, next_character
from knowledge_base.readers.images import decode_png


def files(**members: str):
    """A reading function for members held in memory."""
    return lambda member: members[member].encode()


def test_table_keeps_numbers_and_makes_words_one_hot():
    read = files(t="age,town,code,label\n3,B,1,yes\n4,A,2,no\n5,B,1,yes\n")
    arrays = Table(("t",), ("label",), header=True, categorical=("code",))(read)
    assert arrays.inputs.tolist() == [[3, 0, 1, 1, 0], [4, 1, 0, 0, 1], [5, 0, 1, 1, 0]]
    assert arrays.targets.tolist() == [1, 0, 1]
    assert arrays.classes == 2


def test_table_without_header_takes_the_last_column_and_joins_files():
    arrays = Table(("a", "b"), drop=("0",), group="1")(files(a="9, 7, 2, x\n", b="9, 8, 3, y\n"))
    assert arrays.inputs.tolist() == [[2], [3]]
    assert arrays.targets.tolist() == [0, 1]
    assert arrays.groups is not None
    assert arrays.groups.tolist() == [0, 1]


def test_table_targets_of_other_kinds():
    read = files(t="x,p,q\n1,0,1\n2,1,1\n", x="v\n5\n6\n", y="v\nb\na\n")
    many = Table(("t",), ("p", "q"), "multilabel", header=True)(read)
    assert many.targets.tolist() == [[0, 1], [1, 1]]
    assert (many.classes, many.inputs.shape) == (2, (2, 1))
    price = Table(("t",), ("x",), "regression", header=True, log_target=True)(read)
    assert price.targets == pytest.approx(np.log([1, 2]))
    apart = Table(("x",), header=True, target_members=("y",))(read)
    assert apart.inputs.tolist() == [[5], [6]]
    assert apart.targets.tolist() == [1, 0]


@pytest.mark.parametrize("text", ["1,2,a\n3,,b\n", "1,2,a\n3,b\n"])
def test_table_with_gaps_is_refused(text):
    with pytest.raises(ValueError, match="missing"):
        Table(("t",))(files(t=text))


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        Table(("t",))(files(t="1,nan,a\n2,3,b\n"))


def test_series_are_padded_to_the_longest():
    text = "# about\n@classLabel true a b\n@data\n1,2,3:4,5,6:b\n7:8:a\n"
    arrays = TimeSeriesFile(("t",))(files(t=text))
    assert arrays.inputs.tolist() == [[[1, 4], [2, 5], [3, 6]], [[7, 8], [0, 0], [0, 0]]]
    assert arrays.targets.tolist() == [1, 0]
    with pytest.raises(ValueError, match="no series"):
        TimeSeriesFile(("t",))(files(t="1,2:a\n"))


def test_pixel_rows():
    arrays = PixelRows("t", 2)(files(t="0,1,2,255,1\n4,5,6,7,0\n"))
    assert arrays.inputs.tolist() == [[[[0, 1], [2, 255]]], [[[4, 5], [6, 7]]]]
    assert arrays.targets.tolist() == [1, 0]


def test_faces_are_the_first_half():
    stream = io.BytesIO()
    np.save(stream, np.arange(16.0).reshape(4, 2, 2))
    arrays = FacesAndOthers("f")(lambda _: stream.getvalue())
    assert arrays.inputs.shape == (4, 1, 2, 2)
    assert arrays.targets.tolist() == [1, 1, 0, 0]


def png(pixels: np.ndarray, methods: list[int], kind: bytes | None = None) -> bytes:
    """A grey or RGB PNG whose lines are filtered as asked; the inverse of what is tested."""
    height, width, *channels = pixels.shape
    kind = kind or (b"\x08\2\0\0\0" if channels else b"\x08\0\0\0\0")
    lines = b""
    for row, method in enumerate(methods):
        line = pixels[row].astype(int)
        up = pixels[row - 1].astype(int) if row else np.zeros_like(line)
        left = np.concatenate([np.zeros_like(line[:1]), line[:-1]])
        corner = np.concatenate([np.zeros_like(line[:1]), up[:-1]])
        slope = left + up - corner
        near = np.stack([abs(slope - left), abs(slope - up), abs(slope - corner)]).argmin(0)
        paeth = np.choose(near, [left, up, corner])
        guess = [np.zeros_like(line), left, up, (left + up) // 2, paeth][method]
        lines += bytes([method]) + ((line - guess) % 256).astype(np.uint8).tobytes()
    compressed = zlib.compress(lines)
    chunks = [
        (b"IHDR", struct.pack(">II", width, height) + kind),
        (b"IDAT", compressed[:7]),
        (b"IDAT", compressed[7:]),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@given(
    seed=st.integers(0, 50),
    methods=st.lists(st.integers(0, 4), min_size=1, max_size=6),
    channels=st.sampled_from([(), (3,)]),
)
def test_png_comes_back_for_every_filter(seed, methods, channels):
    shape = (len(methods), 9, *channels)
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    assert np.array_equal(decode_png(png(pixels, methods)), pixels)


def test_png_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="8-bit grey"):
        decode_png(png(np.zeros((1, 3), np.uint8), [0], b"\x08\x03\0\0\0"))
    with pytest.raises(ValueError, match="not a PNG"):
        decode_png(b"GIF89a")


def test_patches_tile_the_picture():
    picture = np.arange(5 * 4).reshape(5, 4).astype(np.uint8)
    read = {"a": png(picture, [0] * 5), "b": png(picture[:2], [0] * 2)}.__getitem__
    arrays = TexturePatches(("a", "b"), side=2)(read)
    assert arrays.inputs.shape == (6, 1, 2, 2)
    assert arrays.inputs[1, 0].tolist() == [[2, 3], [6, 7]]
    assert arrays.targets.tolist() == [0, 0, 0, 0, 1, 1]


@given(st.text())
def test_every_character_has_a_token(text):
    codes = encode(text, PRINTABLE)
    assert len(codes) == len(text)
    for character, code in zip(text, codes, strict=True):
        assert code == (PRINTABLE.index(character) if character in PRINTABLE else 96)


def test_next_character_targets_follow_the_inputs():
    arrays = next_character("abcdefg\n!", PRINTABLE, 3)
    assert "".join(PRINTABLE[code] for code in arrays.inputs.ravel()) == "abcefg"
    assert "".join(PRINTABLE[code] for code in arrays.targets.ravel()) == "bcdfg\n"
    assert arrays.in_order


def test_wiki_pages_are_unescaped_and_cut():
    export = '<page><text bytes="9">a&lt;b\nc</text></page><text>xyzxyz</text>'
    arrays = WikiPages("w", per_page=4, length=8)(files(w=export))
    assert "".join(PRINTABLE[code] for code in arrays.inputs[0]) == "a<b\n\nxyz"


def test_strings_with_two_labels_or_seen_twice_go():
    pairs = [("ab", "x"), ("ab", "x"), ("c", "y"), ("c", "x"), ("c", "y"), ("bad", "y")]
    arrays = labelled_strings(pairs, length=3)
    assert arrays.inputs.tolist() == [[1, 2, 0], [2, 1, 3]]
    assert arrays.targets.tolist() == [0, 1]
    assert arrays.vocabulary == 4


def test_strings_that_are_equal_once_cut_count_as_one():
    arrays = labelled_strings([("abX", "x"), ("abY", "x"), ("b", "y")], length=2)
    assert arrays.inputs.tolist() == [[1, 2], [2, 0]]


def test_cities_of_the_largest_countries():
    cities = [("Lyon", "FR"), ("Ulm", "DE"), ("Bonn", "DE"), ("Paris", "FR"), ("Wien", "AT")]
    text = json.dumps(
        {str(key): {"name": name, "countrycode": code} for key, (name, code) in enumerate(cities)}
    )
    arrays = CitiesByCountry("c", countries=2, length=5)(files(c=text))
    assert arrays.inputs.shape == (4, 5)
    assert arrays.targets.tolist() == [1, 0, 0, 1]


def packed(value) -> bytes:
    """MessagePack of what word lists hold."""
    if isinstance(value, str):
        content = value.encode()
        if len(content) < 32:
            return bytes([0xA0 + len(content)]) + content
        return b"\xda" + struct.pack(">H", len(content)) + content
    if isinstance(value, list):
        head = bytes([0x90 + len(value)]) if len(value) < 16 else b"\xdc\x00" + bytes([len(value)])
        return head + b"".join(map(packed, value))
    if isinstance(value, dict):
        flat = [item for pair in value.items() for item in pair]
        return bytes([0x80 + len(value)]) + b"".join(map(packed, flat))
    return bytes([value]) if value < 128 else b"\xcd" + struct.pack(">H", value)


@given(
    st.recursive(
        st.text(max_size=80) | st.integers(0, 65535),
        lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=9),
        max_leaves=20,
    )
)
def test_message_pack_comes_back(value):
    content = packed(value)
    assert msgpack.decode(content) == value
    with pytest.raises(ValueError, match="MessagePack"):
        msgpack.decode(content + b"\x00")


@pytest.mark.parametrize("content", [b"", b"\xa3ab", b"\x92\x01", b"\xc1"])
def test_broken_message_pack_is_refused(content):
    with pytest.raises(ValueError, match="MessagePack"):
        msgpack.decode(content)


def test_words_of_one_language():
    lists = {
        "de": [{"format": "cB"}, [], ["der", "in"], ["12", "und"]],
        "en": [{"format": "cB"}, ["the", "in"]],
    }
    reader = WordsByLanguage("{language}.gz", ("de", "en"), length=4)
    arrays = reader(lambda member: packed(lists[member[:2]]))
    assert arrays.targets.tolist() == [0, 0, 1], "der, und; the: `in` is both, 12 is no word"


def test_peptides():
    arrays = Peptides("p", length=3)(files(p="3,1,x,y\r\nGLW, 1\r\nMA, 0\r\nGLW, 1\r\n"))
    assert arrays.inputs.tolist() == [[2, 3, 5], [4, 1, 0]]
    assert arrays.targets.tolist() == [1, 0]


def test_molecules_are_joined_by_number_and_never_cut():
    read = files(
        v="CAS\tTb\n1-1\t300.5\n2-2\t400\n3-3\t500\n",
        s="7\t1-1\tC\t16\tCO\tx\ty\n8\t2-2\tC\t16\tCCCCCC\tx\n",
        t="7\t1-1\tC\t16\tNN\tx\n",
    )
    assert len(MoleculeProperty("v", ("s", "t"))(read).targets) == 2
    assert len(MoleculeProperty("v", ("s", "t"), highest=350)(read).targets) == 1
    arrays = MoleculeProperty("v", ("s", "t"), length=4)(read)
    assert arrays.inputs.tolist() == [[1, 2, 0, 0]]
    assert arrays.targets.tolist() == [300.5]
    assert arrays.classes is None


@pytest.mark.parametrize(
    ("smiles", "kept"),
    [
        ("C1CCl=C(Br)[C@@H](O)/C[N+]#N", True),
        ("O", False),
        ("[W]", False),
        ("C[Hg]C", False),
        ("[Na+].CC", False),
    ],
)
def test_only_organic_molecules_are_kept(smiles, kept):
    read = files(v="CAS\tTb\n1\t300\n2\t200\n", s=f"7\t1\tC\t1\t{smiles}\tx\n8\t2\tC\t1\tC\tx\n")
    assert len(MoleculeProperty("v", ("s",))(read).targets) == 1 + kept


def test_genomes():
    read = files(a=">one\nACGt\nACNN\nTTTTT\n", b=">two\nGGGG\n")
    following = NextBase("a", length=3)(read)
    assert following.inputs.tolist() == [[0, 1, 2], [3, 3, 3]]
    assert following.targets.tolist() == [[1, 2, 3], [3, 3, 3]]
    species = SpeciesOfWindow(("a", "b"), length=4)(read)
    assert species.targets.tolist() == [0, 0, 1]
    assert species.vocabulary == 4


def test_windows_of_genes_are_told_from_the_rest():
    genes = ">1 [gene=p]\nAC\n>2 [gene=p]\nACGGT\nTAC\n>3 [gene=q]\nCCCCA\n"
    # AACC holds ACC, a piece of p read backwards on the other strand (GGT).
    genome = ">4\nAAAA\nTATA\nAACC\nATAT\nAGAN\n"
    reader = CodingOrNot("genome", "genes", length=4, shared=3)
    arrays = reader(files(genome=genome, genes=genes))
    texts = ["".join("ACGT"[code] for code in row) for row in arrays.inputs]
    assert texts == ["ACGG", "TTAC", "CCCC", "AAAA", "TATA", "ATAT"]
    assert arrays.targets.tolist() == [1, 1, 1, 0, 0, 0]
    assert arrays.groups is not None
    assert arrays.groups.tolist() == [0, 0, 1, 2, 3, 4]


def test_arrays_must_have_one_target_per_row():
    with pytest.raises(ValueError, match="2 inputs and 1 targets"):
        Arrays(np.zeros((2, 1), np.float32), np.zeros(1, np.int64), "classification", 1)
