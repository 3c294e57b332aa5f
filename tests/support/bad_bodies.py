"""JSON that holds no images, and what its error says."""

import json

FLAT = [0] * 784
SQUARE = [[0] * 28] * 28


def images(*each: object) -> bytes:
    return json.dumps({"images": each}).encode()


def with_pixel(text: str) -> bytes:
    """Return a request whose second image has `text` as its pixel 5."""
    return b'{"images": [%s, [0, 0, 0, 0, 0, %s%s]]}' % (json.dumps(FLAT).encode(), text.encode(), b", 0" * 778)


# Names in ASCII: pytest would escape others again at each collection, and mutmut, which collects twice, not find the tests.
BAD_BODIES = {
    "not JSON": (b"seven", "the body is not JSON"),
    "nothing": (b"", "the body is not JSON"),
    "not UTF-8": (b'{"images": "\xff"}', "not UTF-8 at byte 12"),
    "UTF-16": (json.dumps({"images": [FLAT]}).encode("utf-16"), "not UTF-8"),
    "a byte-order mark": (b"\xef\xbb\xbf" + images(FLAT), "byte-order mark"),
    "trailing garbage": (images(FLAT) + b"}", "Extra data"),
    "two documents": (images(FLAT) * 2, "Extra data"),
    "a list": (json.dumps([FLAT]).encode(), "the body is a list of 1; send an object"),
    "a number": (b"7", "the body is a number"),
    "null": (b"null", "the body is null"),
    "no images": (b'{"image": []}', 'no key "images" (its first key is "image")'),
    "an empty object": (b"{}", 'no key "images"'),
    "another key beside images": (b'{"images": [], "model": "x"}', 'the unknown key "model"'),
    "duplicate keys": (b'{"images": [], "images": []}', 'the key "images" more than once'),
    "images is null": (b'{"images": null}', '"images" is null'),
    "images is an object": (b'{"images": {}}', '"images" is an object'),
    "images is a string": (b'{"images": "7"}', '"images" is the string "7"'),
    "an empty list": (images(), "an empty list"),
    "a nested empty list": (images([]), "images[0] has 0 values"),
    "a doubly nested empty list": (images([[]]), "images[0] is a list of 1, not 28 rows"),
    "a stray empty list": (images(FLAT, []), "images[1] has 0 values"),
    "a flat list that is not in a list": (json.dumps({"images": FLAT}).encode(), "images[0] is a number"),
    "ragged rows": (images([[0] * 28] * 27 + [[0] * 27]), "images[0][27] has 27 values, not 28"),
    "27 rows": (images([[0] * 28] * 27), "images[0] is a list of 27, not 28 rows"),
    "783 values": (images(FLAT[1:]), "images[0] has 783 values, not 784"),
    "rows of 783 and 785 values": (images(FLAT[1:], [*FLAT, 0]), "images[0] has 783 values"),
    "four of 392 values": (images(*[FLAT[:392]] * 4), "images[0] has 392 values"),
    "28x28x3": (images([[[0] * 3] * 28] * 28), "images[0][0][0] is a list of 3, not a number"),
    "784x1": (images([[0]] * 784), "images[0] is a list of 784, not 28 rows"),
    "flat, then square": (images(FLAT, SQUARE), "images[1][0] is a list of 28, not a number"),
    "square, then flat": (images(SQUARE, FLAT), "images[1] is a list of 784, not 28 rows"),
    "an image that is null": (images(FLAT, None), "images[1] is null"),
    "NaN": (with_pixel("NaN"), "images[1][5] is NaN, not a number"),
    "Infinity": (with_pixel("Infinity"), "images[1][5] is Infinity, not a number"),
    "-Infinity": (with_pixel("-Infinity"), "images[1][5] is -Infinity, not a number"),
    "null as a pixel": (with_pixel("null"), "images[1][5] is null, not a number"),
    "a string as a pixel": (with_pixel('"12"'), 'images[1][5] is the string "12", not a number'),
    "a boolean as a pixel": (with_pixel("true"), "images[1][5] is a boolean, not a number"),
    "-1": (with_pixel("-1"), "images[1][5] is -1;"),
    "256": (with_pixel("256"), "images[1][5] is 256;"),
    "255.000001": (with_pixel("255.000001"), "images[1][5] is 255"),
    "1e400": (with_pixel("1e400"), "images[1][5] is inf;"),
    "10^30": (with_pixel("1" + "0" * 30), "images[1][5] is 1e+30;"),
    "10^5000": (with_pixel("1" + "0" * 5000), "images[1][5] is inf;"),
    "a square's pixel": (images([[0] * 28] * 2 + [[0] * 9 + [300] + [0] * 18] + [[0] * 28] * 25), "images[0][2][9] is 300;"),
    "depth 101 under another key": (b'{"images": [], "x": ' + b"[" * 101 + b"]" * 101 + b"}", 'the unknown key "x"'),
    "depth 100,000": (b"[" * 100_000, "nested too deeply"),
    "a key that is half a surrogate pair": (b'{"\\ud800": 1}', 'its first key is "\\ud800"'),
}
