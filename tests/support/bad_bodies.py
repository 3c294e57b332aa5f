"""JSON that holds no images, and the whole sentence of its error."""

import json

FLAT = [0] * 784
SQUARE = [[0] * 28] * 28

PIXELS = "send 784 (28×28) pixel values from 0 to 255 for each image."
EXAMPLE = '{"images": [[784 numbers], …]}.'
OBJECT = f"send {EXAMPLE}"


def images(*each: object) -> bytes:
    return json.dumps({"images": each}).encode()


def with_pixel(text: str) -> bytes:
    """Return a request whose second image has `text` as its pixel 5."""
    return b'{"images": [%s, [0, 0, 0, 0, 0, %s%s]]}' % (json.dumps(FLAT).encode(), text.encode(), b", 0" * 778)


# Names in ASCII: pytest would escape others again at each collection, and mutmut, which collects twice, not find the tests.
BAD_BODIES = {
    "not JSON": (b"seven", "the body is not JSON: Expecting value: line 1 column 1 (char 0); " + OBJECT),
    "nothing": (b"", "the body is not JSON: Expecting value: line 1 column 1 (char 0); " + OBJECT),
    "not UTF-8": (b'{"images": "\xff"}', "the body is not UTF-8 at byte 12; send JSON in UTF-8."),
    "UTF-16": (json.dumps({"images": [FLAT]}).encode("utf-16"), "the body is not UTF-8 at byte 0; send JSON in UTF-8."),
    "a byte-order mark": (b"\xef\xbb\xbf" + images(FLAT), "the body starts with a byte-order mark; send UTF-8 without one."),
    "trailing garbage": (images(FLAT) + b"}", "the body is not JSON: Extra data: line 1 column 2367 (char 2366); " + OBJECT),
    "two documents": (images(FLAT) * 2, "the body is not JSON: Extra data: line 1 column 2367 (char 2366); " + OBJECT),
    "a list": (json.dumps([FLAT]).encode(), "the body is a list of 1; send an object: " + EXAMPLE),
    "a number": (b"7", "the body is a number; send an object: " + EXAMPLE),
    "null": (b"null", "the body is null; send an object: " + EXAMPLE),
    "no images": (b'{"image": []}', 'the body has no key "images" (its first key is "image"); ' + OBJECT),
    "an empty object": (b"{}", 'the body has no key "images" (it has none); ' + OBJECT),
    "another key beside images": (
        b'{"images": [], "model": "x"}',
        'the body has the unknown key "model"; send "images" alone.',
    ),
    "duplicate keys": (b'{"images": [], "images": []}', 'the body has the key "images" more than once; send each key once.'),
    "images is null": (b'{"images": null}', '"images" is null; it must be a list of at least one image: ' + PIXELS),
    "images is an object": (b'{"images": {}}', '"images" is an object; it must be a list of at least one image: ' + PIXELS),
    "images is a string": (
        b'{"images": "7"}',
        '"images" is the string "7"; it must be a list of at least one image: ' + PIXELS,
    ),
    "an empty list": (images(), '"images" is an empty list; it must be a list of at least one image: ' + PIXELS),
    "a nested empty list": (images([]), "images[0] has 0 values, not 784; " + PIXELS),
    "a doubly nested empty list": (images([[]]), "images[0] is a list of 1, not 28 rows of 28 numbers; " + PIXELS),
    "a stray empty list": (images(FLAT, []), "images[1] has 0 values, not 784; " + PIXELS),
    "a flat list that is not in a list": (
        json.dumps({"images": FLAT}).encode(),
        "images[0] is a number, not a list of 784 numbers; " + PIXELS,
    ),
    "ragged rows": (images([[0] * 28] * 27 + [[0] * 27]), "images[0][27] has 27 values, not 28; " + PIXELS),
    "27 rows": (images([[0] * 28] * 27), "images[0] is a list of 27, not 28 rows of 28 numbers; " + PIXELS),
    "783 values": (images(FLAT[1:]), "images[0] has 783 values, not 784; " + PIXELS),
    "rows of 783 and 785 values": (images(FLAT[1:], [*FLAT, 0]), "images[0] has 783 values, not 784; " + PIXELS),
    "four of 392 values": (images(*[FLAT[:392]] * 4), "images[0] has 392 values, not 784; " + PIXELS),
    "28x28x3": (images([[[0] * 3] * 28] * 28), "images[0][0][0] is a list of 3, not a number; " + PIXELS),
    "784x1": (images([[0]] * 784), "images[0] is a list of 784, not 28 rows of 28 numbers; " + PIXELS),
    "flat, then square": (images(FLAT, SQUARE), "images[1][0] is a list of 28, not a number; " + PIXELS),
    "square, then flat": (images(SQUARE, FLAT), "images[1] is a list of 784, not 28 rows of 28 numbers; " + PIXELS),
    "an image that is null": (images(FLAT, None), "images[1] is null, not a list of 784 numbers; " + PIXELS),
    "NaN": (with_pixel("NaN"), "images[1][5] is NaN, not a number; " + PIXELS),
    "Infinity": (with_pixel("Infinity"), "images[1][5] is Infinity, not a number; " + PIXELS),
    "-Infinity": (with_pixel("-Infinity"), "images[1][5] is -Infinity, not a number; " + PIXELS),
    "null as a pixel": (with_pixel("null"), "images[1][5] is null, not a number; " + PIXELS),
    "a string as a pixel": (with_pixel('"12"'), 'images[1][5] is the string "12", not a number; ' + PIXELS),
    "a boolean as a pixel": (with_pixel("true"), "images[1][5] is a boolean, not a number; " + PIXELS),
    "-1": (with_pixel("-1"), "images[1][5] is -1; " + PIXELS),
    "256": (with_pixel("256"), "images[1][5] is 256; " + PIXELS),
    "255.000001": (with_pixel("255.000001"), "images[1][5] is 255.000001; " + PIXELS),
    "1e400": (with_pixel("1e400"), "images[1][5] is inf; " + PIXELS),
    "10^30": (with_pixel("1" + "0" * 30), "images[1][5] is 1e+30; " + PIXELS),
    "10^5000": (with_pixel("1" + "0" * 5000), "images[1][5] is inf; " + PIXELS),
    "a square's pixel": (
        images([[0] * 28] * 2 + [[0] * 9 + [300] + [0] * 18] + [[0] * 28] * 25),
        "images[0][2][9] is 300; " + PIXELS,
    ),
    "depth 101 under another key": (
        b'{"images": [], "x": ' + b"[" * 101 + b"]" * 101 + b"}",
        'the body has the unknown key "x"; send "images" alone.',
    ),
    "depth 100,000": (b"[" * 100_000, "the body is nested too deeply; " + OBJECT),
    "a key that is half a surrogate pair": (
        b'{"\\ud800": 1}',
        'the body has no key "images" (its first key is "\\ud800"); ' + OBJECT,
    ),
}
