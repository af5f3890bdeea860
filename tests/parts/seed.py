"""Puts objects into an S3 server with boto3.

usage: seed.py --endpoint URL [--plan FILE]

Without a plan: the scenario of plan.py. Prints {"buckets": n, "objects": n, "bytes": n}.
"""

import argparse
import concurrent.futures
import json

import boto3
import botocore.config

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
    s3.put_object(
        Bucket=bucket,
        Key=entry["key"],
        Body=plan.content(bucket, entry["key"], entry["size"]),
        Metadata=entry.get("metadata", {}),
        **entry.get("headers", {}),
    )


def seed(endpoint, wanted):
    objects = [(bucket, entry) for bucket in wanted["buckets"] for entry in bucket["objects"]]
    clients = {b["region"]: client(endpoint, b["region"]) for b in wanted["buckets"]}
    for bucket in wanted["buckets"]:
        make_bucket(clients[bucket["region"]], bucket)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(put, clients[b["region"]], b["name"], entry) for b, entry in objects]
        for job in jobs:
            job.result()
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
