"""Puts objects into an S3 server with boto3.

usage: seed.py --endpoint URL [--plan FILE]

Without a plan: the scenario of plan.py. Prints {"buckets": n, "objects": n, "bytes": n} once every
bucket lists exactly the keys it should.

moto's routes match no path with a line break: a key that holds one is put by an HTML form (POST
Object), and all that moto does with it is list it.
"""

import argparse
import concurrent.futures
import json

import boto3
import botocore.config
import requests

import plan


def client(endpoint, region):
    """An S3 client that sends bodies as they are and addresses buckets by path."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=botocore.config.Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=16,
        ),
    )


def make_bucket(s3, bucket):
    placement = {}
    if bucket["region"] != "us-east-1":
        placement = {"CreateBucketConfiguration": {"LocationConstraint": bucket["region"]}}
    s3.create_bucket(Bucket=bucket["name"], **placement)


def put(s3, bucket, entry):
    body = plan.content(bucket, entry["key"], entry["size"])
    if "\n" in entry["key"]:
        url = f"{s3.meta.endpoint_url}/{bucket}"
        requests.post(url, data={"key": entry["key"]}, files={"file": body}).raise_for_status()
        return
    s3.put_object(
        Bucket=bucket,
        Key=entry["key"],
        Body=body,
        Metadata=entry.get("metadata", {}),
        **entry.get("headers", {}),
    )


def check(s3, bucket):
    """Fails unless the bucket lists the keys of its plan and no others."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["name"])
    held = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    wanted = sorted(entry["key"] for entry in bucket["objects"])
    if held != wanted:
        odd = set(held).symmetric_difference(wanted)
        raise ValueError(f"{bucket['name']} lists other keys than were put: {sorted(odd)}")


def seed(endpoint, wanted):
    objects = [(bucket, entry) for bucket in wanted["buckets"] for entry in bucket["objects"]]
    clients = {b["region"]: client(endpoint, b["region"]) for b in wanted["buckets"]}
    for bucket in wanted["buckets"]:
        make_bucket(clients[bucket["region"]], bucket)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(put, clients[b["region"]], b["name"], entry) for b, entry in objects]
        for job in jobs:
            job.result()
    for bucket in wanted["buckets"]:
        check(clients[bucket["region"]], bucket)
    return {
        "buckets": len(wanted["buckets"]),
        "objects": len(objects),
        "bytes": sum(entry["size"] for _, entry in objects),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--plan", help="a JSON file; without it the built-in scenario")
    arguments = parser.parse_args()
    print(json.dumps(seed(arguments.endpoint, plan.read(arguments.plan))))


if __name__ == "__main__":
    main()
