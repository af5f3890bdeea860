"""Compares what is in Azure Blob Storage with what is in S3, by the vendors' own libraries.

usage: compare.py --s3 URL --blob URL --sas SAS --rules FILE

S3 is read by boto3, Blob by azure-storage-blob. The rules are JSON:

  {"only": true,                    no container beyond those named in the rules
   "rules": [{"bucket": "b",        where the objects are
              "prefix": "dir/",     which of them; the whole bucket without it
              "keys": ["k"],        or exactly these
              "top_level": true,    without those that have a further / after the prefix
              "container": "c",     where their blobs are
              "strip": "dir/",      what a blob name lacks of the key's beginning
              "add": "d/"}]}        what stands in its place

Keys ending in / are folder markers: they have no blob. Several rules may share a container; it
holds nothing beyond what its rules say.

Prints one JSON object and exits 0 when `differences` is empty, else 1:

  {"objects": n, "bytes": n,        all objects the rules name, with the markers
   "compared": n, "bytes_compared": n, "markers": n,
   "differences": [{"what", "container", "blob", "source", "destination"}, …]}

`what` is one of missing, unexpected, container, size, content, blob_type, content_md5, a property
(content_type, cache_control, content_encoding, content_language, content_disposition), metadata.
"""

import argparse
import concurrent.futures
import hashlib
import json
import sys

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, BlobType

import seed

# boto3's name of each property and azure-storage-blob's.
PROPERTIES = {
    "ContentType": "content_type",
    "CacheControl": "cache_control",
    "ContentEncoding": "content_encoding",
    "ContentLanguage": "content_language",
    "ContentDisposition": "content_disposition",
}


def selected(s3, rule):
    """The keys a rule names, in the bucket's order."""
    if "keys" in rule:
        yield from rule["keys"]
        return
    prefix = rule.get("prefix", "")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=rule["bucket"], Prefix=prefix)
    for page in pages:
        for entry in page.get("Contents", []):
            rest = entry["Key"][len(prefix) :]
            if not (rule.get("top_level") and "/" in rest):
                yield entry["Key"]


def blob_name(rule, key):
    strip = rule.get("strip", "")
    if not key.startswith(strip):
        raise ValueError(f"rule strips {strip!r}, which {key!r} does not begin with")
    return rule.get("add", "") + key[len(strip) :]


def difference(what, container, blob, source=None, destination=None):
    return {
        "what": what,
        "container": container,
        "blob": blob,
        "source": source,
        "destination": destination,
    }


def property_differences(source, data, properties, there):
    """Yields (what, source, destination) for an object and the blob that came of it."""
    if not len(data) == len(there) == properties.size:
        yield "size", len(data), len(there)
    elif data != there:
        yield "content", hashlib.sha256(data).hexdigest(), hashlib.sha256(there).hexdigest()
    if properties.blob_type != BlobType.BLOCKBLOB:
        yield "blob_type", BlobType.BLOCKBLOB, properties.blob_type
    settings = properties.content_settings
    if settings.content_md5 and bytes(settings.content_md5) != hashlib.md5(data).digest():
        yield "content_md5", hashlib.md5(data).hexdigest(), bytes(settings.content_md5).hex()
    for ours, theirs in PROPERTIES.items():
        if (source.get(ours) or None) != (getattr(settings, theirs) or None):
            yield theirs, source.get(ours), getattr(settings, theirs)
    if source["Metadata"] != (properties.metadata or {}):
        yield "metadata", source["Metadata"], properties.metadata


def compare_one(s3, service, rule, key):
    """Gives an object's size, the blob it should have become (none for a marker), differences."""
    source = s3.get_object(Bucket=rule["bucket"], Key=key)
    data = source["Body"].read()
    if key.endswith("/"):
        return len(data), None, []
    name, container = blob_name(rule, key), rule["container"]
    blob = service.get_blob_client(container, name)
    try:
        properties = blob.get_blob_properties()
        there = blob.download_blob(decompress=False).readall()
    except ResourceNotFoundError:
        return len(data), name, [difference("missing", container, name, f"{rule['bucket']}/{key}")]
    found = property_differences(source, data, properties, there)
    return len(data), name, [difference(what, container, name, s, d) for what, s, d in found]


def unexpected(service, expected, only):
    """Yields what is at the destination beside the expected blobs of each container."""
    present = {container.name for container in service.list_containers()}
    for container, names in expected.items():
        if container not in present:
            continue  # its blobs are missing already, or it has none
        held = {blob.name for blob in service.get_container_client(container).list_blobs()}
        for name in sorted(held - names):
            yield difference("unexpected", container, name)
    if only:
        for container in sorted(present - set(expected)):
            yield difference("container", container, None, "absent", "present")


def compare(s3, service, wanted):
    """The whole verdict."""
    totals = {"objects": 0, "bytes": 0, "compared": 0, "bytes_compared": 0, "markers": 0}
    differences, expected = [], {}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for rule in wanted["rules"]:
            names = expected.setdefault(rule["container"], set())
            keys = list(selected(s3, rule))
            for size, name, found in pool.map(lambda k, r=rule: compare_one(s3, service, r, k), keys):
                totals["objects"] += 1
                totals["bytes"] += size
                differences.extend(found)
                if name is None:
                    totals["markers"] += 1
                else:
                    totals["compared"] += 1
                    totals["bytes_compared"] += size
                    names.add(name)
    differences.extend(unexpected(service, expected, wanted.get("only", False)))
    differences.sort(key=lambda d: (d["container"], d["blob"] or "", d["what"]))
    return {**totals, "differences": differences}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--s3", required=True)
    parser.add_argument("--blob", required=True, help="with the account's name in its path")
    parser.add_argument("--sas", required=True)
    parser.add_argument("--rules", required=True)
    arguments = parser.parse_args()
    with open(arguments.rules, encoding="utf-8") as file:
        wanted = json.load(file)
    service = BlobServiceClient(arguments.blob, credential=arguments.sas)
    verdict = compare(seed.client(arguments.s3, "us-east-1"), service, wanted)
    print(json.dumps(verdict))
    sys.exit(1 if verdict["differences"] else 0)


if __name__ == "__main__":
    main()
