"""Prints what a container holds, as azure-storage-blob reads it.

usage: blobs.py --blob URL --sas SAS --container NAME [--tags] [--blocks]

Prints [{"name", "size", "sha256", "type", "tier", "headers", "metadata", "tags", "blocks"}, …] in
the listing's order, headers under boto3's names and without empty ones. Tags, and of how many
blocks a blob consists, are asked for on request only. Fails on a blob that keeps an MD5 of other
content.
"""

import argparse
import concurrent.futures
import hashlib
import json

from azure.storage.blob import ContainerClient

import compare


def headers(settings):
    pairs = ((ours, getattr(settings, theirs)) for ours, theirs in compare.PROPERTIES.items())
    return {name: value for name, value in pairs if value}


def describe(container, listed, given):
    blob = container.get_blob_client(listed.name)
    reader = blob.download_blob(decompress=False)
    data, properties = reader.readall(), reader.properties
    md5 = properties.content_settings.content_md5
    if md5 and bytes(md5) != hashlib.md5(data).digest():
        raise ValueError(f"{listed.name!r} keeps the MD5 {bytes(md5).hex()}, which is not its own")
    return {
        "name": listed.name,
        "size": listed.size,
        "sha256": hashlib.sha256(data).hexdigest(),
        "type": listed.blob_type,
        "tier": listed.blob_tier,
        "headers": headers(properties.content_settings),
        "metadata": properties.metadata,
        "tags": blob.get_blob_tags() if given.tags else None,
        "blocks": len(blob.get_block_list()[0]) if given.blocks else None,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blob", required=True, help="with the account's name in its path")
    parser.add_argument("--sas", required=True)
    parser.add_argument("--container", required=True)
    parser.add_argument("--tags", action="store_true")
    parser.add_argument("--blocks", action="store_true")
    given = parser.parse_args()
    container = ContainerClient(given.blob, given.container, credential=given.sas)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        listed = container.list_blobs()
        print(json.dumps(list(pool.map(lambda it: describe(container, it, given), listed))))


if __name__ == "__main__":
    main()
