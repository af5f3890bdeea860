"""Prints presigned GET URLs, made by boto3, for every object of a plan.

usage: presign.py --endpoint URL [--plan FILE]

Prints [{"bucket", "key", "size", "url", "properties", "metadata"}, …], the properties under the
names of Azure's request headers: what a client needs to copy each object from its URL.
"""

import argparse
import json

import plan
import seed

HEADERS = {
    "ContentType": "x-ms-blob-content-type",
    "CacheControl": "x-ms-blob-cache-control",
    "ContentEncoding": "x-ms-blob-content-encoding",
    "ContentLanguage": "x-ms-blob-content-language",
    "ContentDisposition": "x-ms-blob-content-disposition",
}


def presigned(endpoint, wanted):
    for bucket in wanted["buckets"]:
        s3 = seed.client(endpoint, bucket["region"])
        for entry in bucket["objects"]:
            place = {"Bucket": bucket["name"], "Key": entry["key"]}
            head = s3.head_object(**place)
            yield {
                "bucket": bucket["name"],
                "key": entry["key"],
                "size": head["ContentLength"],
                "url": s3.generate_presigned_url("get_object", Params=place),
                "properties": {HEADERS[n]: head[n] for n in HEADERS if n in head},
                "metadata": head["Metadata"],
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--plan", help="a JSON file; without it the built-in scenario")
    arguments = parser.parse_args()
    print(json.dumps(list(presigned(arguments.endpoint, plan.read(arguments.plan)))))


if __name__ == "__main__":
    main()
