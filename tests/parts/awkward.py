"""Plans a bucket of objects whose keys and properties are as awkward as S3 and HTTP allow.

usage: awkward.py [--seed N] [--count N] [--bucket NAME] [--region NAME]

Prints a plan (see plan.py). Each OBJECT has two more fields: "sha256" of its content, and "plain":
those of its metadata values, by name, that stand in encoded words (RFC 2047) though they are ASCII.

The fixed keys come first; random ones fill up to the count. moto serves every key but those with a
line break (see seed.py), which are few and marked here.
"""

import argparse
import base64
import hashlib
import json
import random
import string
import unicodedata
import urllib.parse

import plan

# S3's limit, in bytes of UTF-8.
LONGEST_KEY = 1024

# A presigned URL's signature takes 300 to 500 bytes of the 2,048 that Azure takes. A key whose
# encoded length lies in between may go either way; there are none.
UNDECIDED = range(1500, 1800)

DOTS = [
    ".", "..", "...", "./x", "../x", "a.", "b...", "a./b", "a../b", "a/.", "a/..", "a/./b", "a/../b",
    "a/.../b", "a/b/../../c", "d//../e", "//.", "x/../../../y", "%2e%2e/.", "a\\..\\b",
    ".a", "..a", "...a/...b", "a.b", "a. ", "a/ .b", "%2E", "a%2E", "a/%2E%2E/b", "a/%2e%2e/b", "a%~b",
    # What the names above would be taken for: they show a write to another object's blob.
    "a", "b", "c", "x", "y", "a/b", "d/e", "a/x",
]  # fmt: skip

SLASHES = [
    "/lead", "//lead", "///lead", "a//b", "a///b//c", "//", "a//b/c", "/a/b", "\\", "a\\b", "\\lead",
    "trail\\", "a\\\\b", "C:\\dir\\file", "\\\\server\\share", "a/\\/b",
]  # fmt: skip

MARKERS = ["/", "///", "dir/", "dir//", "dir/sub/", "a./", "a\\/", " /", "%2F/", "\x01/", "é/", "./"]

ASCII = [
    " ", "   ", " lead", "trail ", "a b  c", "+", "a+b", "%", "%%", "100%", "a%zz", "%2F", "%252F",
    "a%2Fb", "%00", "%0A", "%C3%A9", "a%20b", "#", "a#b", "?", "a?b=c&d=e", "?a", "&", "a&b", "&amp;",
    "=", "a=b", "'", "it's", '"', 'say "hi"', "`", "<", ">", "<a href='x'>", "]]>", "<![CDATA[x]]>",
    "<Key>", ";", "a;b;v=1", ":", "a:b", "@", "a@b", "*", "|", "^", "~", "~user", "$", "$root/x",
    "$web", "!", "(", ")", "[", "]", "{", "}", "{0}", ",", "-", "--help", "_", "-._~!'()*,",
    "comp=blocklist", "?comp=blocklist", "a?comp=block&blockid=AAAA", "?restype=container", "?uploads",
    "?versionId=null", "?partNumber=1", "x-amz-meta-a", "?x-amz-signature=0", "a?sv=2021-12-02&se=b",
    "http://example.com/x?y#z", "s3://awkward/key", "//example.com/x", "file:///etc/passwd",
    "favicon.ico", "NUL", "con", "aux.txt", "null", "None", "0", "-1", "1e9", "true",
    "case", "Case", "CASE", "dir/Case", "DIR/case",
]  # fmt: skip

UNICODE = [
    "\u00e9", "e\u0301", "\u00c5", "A\u030a", "\u212b", "\ufb01", "fi", "\u1e9b\u0323", "\u1e69",
    "s\u0323\u0307", "s\u0307\u0323", "\u03a9", "\u2126", "\u212a", "K", "\u0130", "i\u0307", "\u0131",
    "\u00df", "ss", "\u1e9e", "\u017f", "\u01c6", "\u01c5", "\u65e5\u672c\u8a9e/\u30ad\u30fc",
    "\u30ac", "\u30ab\u3099", "\uac00", "\u1100\u1161", "\u0e01\u0e33", "\u05e9\u05dc\u05d5\u05dd",
    "\u202ertl", "a\u200bb", "a\u200db", "\ufeffbom", "a\u2028b", "\u2029", "\u00a0", "\u3000", "\u00ad",
    "\ue000", "\uf8ff", "\U000f0000", "\U0010fffd", "\U0001f600", "\U0001f3f3\ufe0f\u200d\U0001f308",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764", "\u2764\ufe0f", "\U0001d54f", "\U00020000",
    "\uff0f", "\u2215", "\uff0e\uff0e", "\u2024", "\u2025/x", "\uff3c", "\u2216", "\uff05\uff12\uff26",
]  # fmt: skip

# None of these can stand in a blob's name.
REFUSED = [
    "\x00", "a\x00b", "\x01", "a\x08b", "\t", "a\tb", "a\x0bb", "a\x0cb", "\r", "a\rb", "a\x1bb",
    "\x1f", "a\x7fb", "\x80", "a\x81b", "a\x85b", "\x9f", "\ufdd0", "a\ufdefb", "\ufff0", "\ufff9",
    "\ufffd", "a\ufffeb", "\uffff", "\U0001fffe", "a\U0001ffffb", "\U0010ffff",
]  # fmt: skip

LINE_BREAKS = ["\n", "a\nb", "a\r\nb"]

LONG = [
    "x" * LONGEST_KEY, "\u00e9" * 512, "\u65e5" * 341 + "x", "\U0001f600" * 256, "%" * LONGEST_KEY,
    " " * LONGEST_KEY, "+" * 900, "d/" + "y" * 1022, "e\u0301" * 341, "%2F" * 280, "\x01" * LONGEST_KEY,
    "." * LONGEST_KEY, "a/" * 511 + "ab", "a/" * 253 + "b", "a/" * 254 + "b", "/" * 253 + "b",
    "/" * 254 + "b", "/" * 1023 + "b", "x" * 1023 + ".", "\\" * LONGEST_KEY,
    "/".join(["\u00e9" * 60] * 8), "long/" + "z" * 1019,
]  # fmt: skip

# Random keys are made of these; the more a list holds, the more often it is met.
PIECES = [
    ["a", "B", "file", "dir", "2026", ".txt", "-", "_"],
    [" ", "+", "%", "#", "?", "&", "=", "'", '"', "<", ">", ";", ":", "@", "*", "$", "!", ",", "|"],
    ["%2F", "%2e", "%25", "%0A", "%zz", "~", "^", "`", "{", "}", "[", "]", "(", ")"],
    ["\u00e9", "e\u0301", "\u65e5", "\U0001f600", "\u00df", "\u0130", "\u202e", "\ufeff", "\u200d"],
    ["/", "/", "//", "/x/"],
]
# At most one of these goes into a random key, and not into every one.
BREAKING = [".", "..", "/./", "/../", "./", "\\", "\x01", "\x00", "\t", "\x7f", "\u0085", "\uffff"]

ALWAYS_VALID = ["owner", "project_2", "_x", "class", "a__b", "s3_etag", "rename_a", "hdi"]
NEVER_VALID = ["cost-center", "2nd", "a.b", "1", "9_lives", "x-amz-meta-y", "...", "content-type"]

VALUES = [
    "", "1", "a, b,c; d=e", '"quoted" \\ back', "a  b   c", "100%", "%41%00", "~!@#$^&*()[]{}|<>?",
    "=", "=?", "a=?b", "=?x?=", "two  spaces =?", "?=", "x" * 500, "key=value; other=\"a,b\"",
    "Thu, 01 Jan 2032 00:00:00 GMT", "{\"json\": [1, null]}", "http://example.com/?a=b&c", "'",
]  # fmt: skip

HEADERS = {
    "ContentType": ["text/html; charset=utf-8", "a/b; c=\"d e\"", "application/x-awkward+json", ""],
    "CacheControl": ["max-age=60, no-transform", "private=\"a, b\"", "x" * 300, ""],
    "ContentEncoding": ["gzip", "gzip, br", "identity", "x-own"],
    "ContentLanguage": ["de-AT, en", "mi, en-GB;q=0.8", "x-pig-latin", ""],
    "ContentDisposition": [
        "attachment; filename=\"a b.html\"",
        "attachment; filename*=UTF-8''%e2%82%ac%20rates; filename=\"a,b;c\\\"d.txt\"",
        "inline",
        "",
    ],
}


def encoded_word(text, charset="UTF-8", quoted=False):
    data = text.encode(charset)
    if quoted:
        plain = (string.ascii_letters + string.digits).encode()
        coded = "".join(chr(b) if b in plain else "_" if b == 0x20 else f"={b:02X}" for b in data)
        return f"=?{charset}?Q?{coded}?="
    return f"=?{charset}?B?{base64.b64encode(data).decode()}?="


# Values in encoded words, and what they say in plain where that is ASCII.
WORDS = [
    (encoded_word("hello"), "hello"),
    (encoded_word("two words", quoted=True), "two words"),
    (encoded_word("a=b, \"c\"?", charset="iso-8859-1", quoted=True), "a=b, \"c\"?"),
    (encoded_word("lower", charset="utf-8").replace("?B?", "?b?"), "lower"),
    (f"{encoded_word('one ')} {encoded_word('two', quoted=True)}", "one two"),
    (f"before {encoded_word('in', quoted=True)} after", "before in after"),
    (encoded_word("gr\u00fc\u00dfe"), None),
    (encoded_word("\u65e5\u672c", quoted=True), None),
    (encoded_word("line\nbreak"), None),
    (encoded_word("caf\u00e9", charset="iso-8859-1", quoted=True), None),
]


def fixed_keys():
    return DOTS + SLASHES + MARKERS + ASCII + UNICODE + REFUSED + LINE_BREAKS + LONG


def is_legal(key):
    encoded = len(urllib.parse.quote(key, safe="/-._~"))
    return key and len(key.encode()) <= LONGEST_KEY and encoded not in UNDECIDED


def random_key(rng):
    pieces = [rng.choice(rng.choice(PIECES)) for _ in range(rng.randrange(1, 9))]
    if rng.random() < 0.2:
        pieces.insert(rng.randrange(len(pieces) + 1), rng.choice(BREAKING))
    if rng.random() < 0.05:
        pieces.append(rng.choice(["x", "\u00e9", "/y", "\U0001f600", "%"]) * rng.randrange(100, 400))
    if pieces[-1].endswith("/") and rng.random() < 0.9:  # a few folder markers are enough
        pieces.append("z")
    return "".join(pieces)


def variant(rng, key):
    """A key that is another to S3 and the same to whoever is careless."""
    forms = [key.swapcase(), urllib.parse.quote(key), urllib.parse.unquote(key)]
    forms += [unicodedata.normalize(form, key) for form in ("NFC", "NFD", "NFKC")]
    return rng.choice(forms)


def keys(rng, count):
    """The fixed keys, then random ones, all different and none with a further line break."""
    chosen = {key: None for key in fixed_keys() if is_legal(key)}
    while len(chosen) < count:
        key = random_key(rng)
        if rng.random() < 0.1:
            key = variant(rng, rng.choice(list(chosen)))
        if is_legal(key) and "\n" not in key:
            chosen[key] = None
    return list(chosen)[:count]


def metadata(rng):
    """User metadata, and what its encoded words say."""
    entries, plain = {}, {}
    for name in rng.sample(ALWAYS_VALID, rng.randrange(4)) + rng.sample(NEVER_VALID, rng.randrange(3)):
        if rng.random() < 0.3:
            entries[name], said = rng.choice(WORDS)
            if said is not None:
                plain[name] = said
        else:
            entries[name] = rng.choice(VALUES)
    if rng.random() < 0.1:  # all that S3 takes: 2 KiB, names and values together
        room = 2048 - sum(len(name) + len(value) for name, value in entries.items())
        if room > 100:
            entries["filler"] = "f" * (room - len("filler"))
    return entries, plain


def headers(rng):
    if rng.random() < 0.1:
        return {name: values[0] for name, values in HEADERS.items()}
    return {name: rng.choice(values) for name, values in HEADERS.items() if rng.random() < 0.3}


def objects(rng, bucket, count):
    for index, key in enumerate(keys(rng, count)):
        entries, plain = metadata(rng)
        if index % 100 == 0:  # the name under which the copy keeps an escaped name's key
            entries["s3_key"] = "theirs"
        size = rng.choice([0, 1, rng.randrange(2, 3000)])
        yield {
            "key": key,
            "size": size,
            "sha256": hashlib.sha256(plan.content(bucket, key, size)).hexdigest(),
            "headers": headers(rng),
            "metadata": entries,
            "plain": plain,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--bucket", default="awkward")
    parser.add_argument("--region", default="eu-west-1")
    given = parser.parse_args()
    planned = list(objects(random.Random(given.seed), given.bucket, given.count))
    bucket = {"name": given.bucket, "region": given.region, "objects": planned}
    print(json.dumps({"buckets": [bucket]}))


if __name__ == "__main__":
    main()
