"""What seed.py puts into S3: buckets in several regions, awkward keys, sizes around the limits.

A plan is JSON-like: {"buckets": [{"name", "region", "objects": [OBJECT, …]}]}, an OBJECT being
{"key", "size"} and, where wanted, "headers" (boto3's names) and "metadata".
"""

import hashlib
import json
import random

MIB = 1 << 20

# Every property the copy has to carry.
ALL_HEADERS = {
    "ContentType": "text/html; charset=utf-8",
    "CacheControl": "max-age=60, no-transform",
    "ContentEncoding": "gzip",
    "ContentLanguage": "de-AT, en",
    "ContentDisposition": "attachment; filename=\"a b.html\"",
}

METADATA = {"owner": "records office", "project_2": "a, b; c=d", "x": "1"}

# Keys that arrive unaltered; each stands for a mistake somebody made before.
AWKWARD_KEYS = [
    "plain.txt",
    "with space.txt",
    " leading and trailing ",
    "plus+plus.txt",
    "percent%.txt",
    "percent%20twenty.txt",
    "percent%2Fslash.txt",
    "percent%252F.txt",
    "hash#fragment.txt",
    "question?query=1&other=2.txt",
    "quotes'single\"double`back.txt",
    "ampersand&semi;equals=comma,.txt",
    "brackets[1]{2}(3)<4>.txt",
    "signs!$*@:|^~.txt",
    "Ünïcödé/日本語/emoji-😀.txt",
    "composed-\u00e9.txt",
    "decomposed-e\u0301.txt",
    "double//slash.txt",
    "triple///slash//again.txt",
    "/leading-slash.txt",
    ".hidden",
    "dots/...three/..two.txt",
    "UPPER/lower.TXT",
    "upper/lower.txt",
    "image.vhd",
]

# Either side of zero, of the largest single copy and of a block, with a limit of 1 MiB each.
SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 17]


def content(bucket, key, size):
    """The bytes of an object: a function of its name, so that no two are alike."""
    seed = hashlib.sha256(f"{bucket}\0{key}".encode()).digest()
    return random.Random(seed).randbytes(size)


def _awkward(prefix=""):
    return [{"key": prefix + key, "size": 11 + index} for index, key in enumerate(AWKWARD_KEYS)]


def _sizes(prefix):
    return [
        {"key": f"{prefix}{size}.bin", "size": size, "headers": ALL_HEADERS, "metadata": METADATA}
        for size in SIZES
    ]


def _many(prefix, count):
    return [{"key": f"{prefix}{index:04}.dat", "size": index % 97} for index in range(count)]


def scenario():
    """Six buckets in three regions; more keys than one listing page; folder markers."""
    markers = [{"key": "dir/", "size": 0}, {"key": "dir/sub/", "size": 0}]
    directory = [
        {"key": "dir/file.txt", "size": 100, "headers": {"ContentType": "text/plain"}},
        {"key": "dir/a b+c%.txt", "size": 5, "headers": ALL_HEADERS, "metadata": METADATA},
        {"key": "dir/sub/deep.txt", "size": 7},
        {"key": "directory-of-another-name.txt", "size": 3},
    ]
    return {
        "buckets": [
            {
                "name": "pre-one",
                "region": "us-east-1",
                "objects": markers + directory + _awkward() + _awkward("dir/") + _sizes("sizes/"),
            },
            {"name": "pre-two", "region": "eu-west-1", "objects": _many("few/", 20)},
            {"name": "other-eu", "region": "eu-west-1", "objects": _sizes("") + _awkward("eu/")},
            {"name": "west", "region": "us-west-2", "objects": _awkward()},
            {"name": "thousand", "region": "us-west-2", "objects": _many("many/", 1050)},
            {"name": "empty-bucket", "region": "us-west-2", "objects": []},
        ]
    }


def read(path):
    """The plan in a JSON file, or the built-in scenario where there is no path."""
    if not path:
        return scenario()
    with open(path, encoding="utf-8") as file:
        return json.load(file)
