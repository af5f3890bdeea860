//! What the help of the commands ends with: how they are used.

/// One example for each shape of source.
pub(super) const COPY: &str = "\
Examples:
  The destination's SAS may stand in its URL, as here, or in AZURE_STORAGE_SAS_TOKEN; an account key
  or an identity does as well. AWS credentials come from the environment, profiles or roles.
  D='https://ACCOUNT.blob.core.windows.net'

  One object:
    blobfleet copy s3://bucket/dir/photo.jpg \"$D/container/photo.jpg?SAS\"

  A directory, as container/dir/...:
    blobfleet copy s3://bucket/dir \"$D/container?SAS\" --recursive

  What is in a directory, without its name:
    blobfleet copy 's3://bucket/dir/*' \"$D/container?SAS\" --recursive

  A bucket; without a container in the destination it gets one of its own:
    blobfleet copy s3://bucket \"$D?SAS\" --recursive

  Buckets by a pattern:
    blobfleet copy 's3://logs-*' \"$D?SAS\" --recursive

  All buckets of a region:
    blobfleet copy https://s3.eu-north-1.amazonaws.com \"$D?SAS\" --recursive

  All buckets:
    blobfleet copy s3:// \"$D?SAS\" --recursive

  A bucket of an S3-compatible server:
    blobfleet copy s3://bucket \"$D/container?SAS\" --recursive --s3-endpoint http://minio:9000

  What a copy would do, without doing it:
    blobfleet copy s3://bucket \"$D/container?SAS\" --recursive --dry-run";

/// How jobs are looked at.
pub(super) const JOBS: &str = "\
Examples:
  The jobs of this machine, and what failed in one of them:
    blobfleet jobs list
    blobfleet jobs show 5f0c9a

  A fleet's jobs:
    blobfleet jobs list --reporter http://127.0.0.1:8080

  Go on with a job whose SAS has expired:
    blobfleet jobs resume 5f0c9a --destination-sas 'sv=...&sig=...'

  Put back what failed, once its cause is gone:
    blobfleet jobs retry 5f0c9a
    blobfleet jobs retry 5f0c9a --reporter http://127.0.0.1:8080

  Make up for a queue that was purged at the broker:
    blobfleet jobs repair 5f0c9a --reporter http://127.0.0.1:8080

  Remove what is kept of jobs that went well:
    blobfleet jobs clean --with-status=Completed";

/// How completions are put to use.
pub(super) const COMPLETIONS: &str = "\
Examples:
  For this shell, bash:
    source <(blobfleet completions bash)

  For every zsh:
    blobfleet completions zsh > \"${fpath[1]}/_blobfleet\"";

/// How the manual is put to use.
pub(super) const MAN: &str = "\
Examples:
  Read it:
    blobfleet man | man -l -

  Install a page for each command:
    blobfleet man --dir /usr/local/share/man/man1";
