//! Nothing secret is printed: not by help, not by any error, not at any log level.
//!
//! Every run of [`World`] looks for the secrets it knows, and for signatures of any kind.

use blobfleet::config::{CopierCli, FrontCli, ListerCli, ReporterCli, command};
use clap::Command;
use futures_util::StreamExt;
use futures_util::stream;

use super::AT_ONCE;
use super::run::World;

/// What the clouds' own tools read.
const CLOUDS: [&str; 41] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZCOPY_ACTIVE_DIRECTORY_ENDPOINT",
    "AZCOPY_AUTO_LOGIN_TYPE",
    "AZCOPY_MSI_CLIENT_ID",
    "AZCOPY_MSI_OBJECT_ID",
    "AZCOPY_MSI_RESOURCE_STRING",
    "AZCOPY_SPA_APPLICATION_ID",
    "AZCOPY_SPA_CERT_PASSWORD",
    "AZCOPY_SPA_CERT_PATH",
    "AZCOPY_SPA_CLIENT_SECRET",
    "AZCOPY_TENANT_ID",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_TENANT_ID",
];

/// Say where things are, not what they are: an error, or the line about the log, must name them.
const PLACES: [&str; 3] = [
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "BLOBFLEET_LOG_LOCATION",
    "BLOBFLEET_STATE",
];

/// A filter that asks every library for all it has to say.
const ALL: &str = "trace,hyper=trace,reqwest=trace,rustls=trace,lapin=trace,aws_config=trace,\
                   aws_sigv4=trace,azure_core=trace,azure_identity=trace";

/// What would keep a case from getting anywhere if it were unset.
const COPY: &str = "blobfleet copy s3://photos {blob}/cont --recursive";

fn variables() -> Vec<String> {
    fn of(command: &Command, all: &mut Vec<String>) {
        let names = command.get_arguments().filter_map(clap::Arg::get_env);
        all.extend(names.map(|name| name.to_str().unwrap().to_owned()));
        command.get_subcommands().for_each(|sub| of(sub, all));
    }
    let mut all = CLOUDS.map(str::to_owned).to_vec();
    for program in [
        command::<FrontCli>(|_| false),
        command::<ListerCli>(|_| false),
        command::<CopierCli>(|_| false),
        command::<ReporterCli>(|_| false),
    ] {
        of(&program, &mut all);
    }
    all.sort();
    all.dedup();
    assert!(all.len() > CLOUDS.len() + 15, "{all:?}");
    all
}

#[tokio::test]
async fn help_and_version_say_nothing_of_the_environment() {
    let world = World::start().await;
    let variables = variables();
    let env: Vec<(&str, &str)> = variables
        .iter()
        .map(|name| (name.as_str(), "S3CR3T"))
        .collect();
    for line in [
        "blobfleet --help",
        "blobfleet -h",
        "blobfleet --version",
        "blobfleet copy --help",
        "blobfleet cp -h",
        "blobfleet help copy",
        "lister --help",
        "lister --version",
        "copier --help",
        "copier -h",
        "reporter --help",
        "reporter --version",
    ] {
        let ended = world.run(line, &env).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.is_empty(), "{ended:?}");
    }
    for line in [
        "blobfleet",
        "blobfleet copy",
        "lister",
        "copier",
        "reporter",
    ] {
        let ended = world.run(line, &env).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
}

/// One variable at a time in the wrong place, at the highest log level: whatever comes of it, the
/// value is not repeated.
#[tokio::test]
async fn no_variable_is_repeated_by_what_goes_wrong_with_it() {
    let world = &World::start().await;
    let variables = variables();
    let roles = ["lister", "copier", "reporter"].map(|role| format!("{role} --broker-wait 0"));
    stream::iter(
        variables
            .iter()
            .filter(|name| !PLACES.contains(&name.as_str())),
    )
    .map(|name| {
        let roles = &roles;
        async move {
            let secret = (name.as_str(), "S3CR3T");
            let level = ("BLOBFLEET_LOG_LEVEL", ALL);
            // Of a chain of sources only the first that is there is asked.
            let unset: &[&str] = match name.as_str() {
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => &[],
                name if name.starts_with("AWS_") => &["AWS_ACCESS_KEY_ID"],
                "AZURE_STORAGE_ACCOUNT" => &[],
                name if name.starts_with("AZ") => &["AZURE_STORAGE_KEY"],
                _ => &[],
            };
            let mut env: Vec<_> = unset.iter().map(|name| (*name, "-")).collect();
            env.extend([level, secret]);
            world.run(COPY, &env).await;
            let bare = [
                level,
                ("BLOBFLEET_SOURCE", "s3://photos"),
                ("BLOBFLEET_DESTINATION", "{blob}/c"),
                secret,
            ];
            world.run("blobfleet copy", &bare).await;
            let broker = [
                level,
                ("BLOBFLEET_BROKER", "amqp://guest:S3CR3T@127.0.0.1:1"),
                secret,
            ];
            if name.starts_with("BLOBFLEET_") && name != "BLOBFLEET_BROKER_WAIT" {
                for role in roles {
                    world.run(role, &broker).await;
                }
            }
        }
    })
    .buffer_unordered(AT_ONCE)
    .collect::<Vec<()>>()
    .await;
}

/// Working credentials of every form, each library asked for all it has to say.
#[tokio::test]
async fn a_copy_that_works_prints_no_credential() {
    let world = World::start().await;
    let end = world.cloud.now() + std::time::Duration::from_secs(600);
    world
        .cloud
        .add_session_key("ASIASESSION", "S3CR3T-KEY", "S3CR3T-TOKEN", end);
    let session = [
        ("AWS_ACCESS_KEY_ID", "ASIASESSION"),
        ("AWS_SECRET_ACCESS_KEY", "S3CR3T-KEY"),
        ("AWS_SESSION_TOKEN", "S3CR3T-TOKEN"),
    ];
    let connection = "AccountName=simaccount;AccountKey={key};BlobEndpoint={blob}";
    let lines = [
        (COPY, ("AZURE_STORAGE_KEY", "{key}")),
        (
            "blobfleet copy s3://photos {blob}/cont?{sas} --recursive",
            ("AZURE_STORAGE_KEY", "-"),
        ),
        (COPY, ("AZURE_STORAGE_SAS_TOKEN", "?{sas}")),
        (COPY, ("AZURE_STORAGE_CONNECTION_STRING", connection)),
    ];
    for (line, azure) in lines {
        for level in ["debug", "trace", ALL] {
            let mut env = session.to_vec();
            env.extend([azure, ("BLOBFLEET_LOG_LEVEL", level)]);
            let ended = world.run(line, &env).await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            for said in [&ended.stderr, &ended.log] {
                assert!(said.contains("job submitted"), "{level}: {ended:?}");
            }
        }
    }
}
