//! `AZURE_STORAGE_CONNECTION_STRING`: `Name=value` pairs between semicolons.
//!
//! Source: Microsoft Learn, "Configure Azure Storage connection strings".

use super::shared_key::SharedKey;
use super::usage;
use crate::destination::sas::Sas;
use crate::destination::url::DestinationUrl;
use crate::failure::Result;

/// The account of every emulator.
pub const DEVELOPMENT_ACCOUNT: &str = "devstoreaccount1";

/// Its key, which is public.
const DEVELOPMENT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// What a connection string gives.
#[derive(Debug)]
pub(super) struct ConnectionString {
    pub(super) account: String,
    pub(super) credential: Given,
}

/// The credential in it.
#[derive(Debug)]
pub(super) enum Given {
    Sas(Sas),
    Key(SharedKey),
}

impl ConnectionString {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let fields = fields(text)?;
        let get = |name: &str| {
            let found = fields.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| *value)
        };
        if get("usedevelopmentstorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Self {
                account: DEVELOPMENT_ACCOUNT.to_owned(),
                credential: Given::Key(SharedKey::new(DEVELOPMENT_ACCOUNT, DEVELOPMENT_KEY)?),
            });
        }
        let account = match (get("accountname"), get("blobendpoint")) {
            (Some(account), _) => account.to_owned(),
            (None, Some(endpoint)) => DestinationUrl::parse(endpoint)?.account().to_owned(),
            (None, None) => {
                return Err(wrong(
                    "has neither AccountName nor BlobEndpoint; copy it whole",
                ));
            }
        };
        let credential = match (get("sharedaccesssignature"), get("accountkey")) {
            (Some(sas), _) => Given::Sas(Sas::parse(sas)?),
            (None, Some(key)) => Given::Key(SharedKey::new(&account, key)?),
            (None, None) => {
                return Err(wrong("has neither AccountKey nor SharedAccessSignature"));
            }
        };
        Ok(Self {
            account,
            credential,
        })
    }
}

/// Names in lower case; a value may hold `=`.
fn fields(text: &str) -> Result<Vec<(String, &str)>> {
    text.split(';')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| wrong("holds a part that is no Name=value"))?;
            Ok((name.trim().to_ascii_lowercase(), value.trim()))
        })
        .filter(|field| !matches!(field, Ok((_, ""))))
        .collect()
}

fn wrong(what: &str) -> crate::failure::Failure {
    usage(format!("AZURE_STORAGE_CONNECTION_STRING {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_account_and_credential() {
        let sas = "sv=2022-11-02&ss=b&srt=co&sp=rwlc&se=2030-01-31&sig=c2VjcmV0";
        for (text, account, key) in [
            ("DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=AAAA==;EndpointSuffix=core.windows.net".to_owned(), "acct", true),
            ("accountname=acct;accountkey=c2VjcmV0;".to_owned(), "acct", true),
            ("UseDevelopmentStorage=true".to_owned(), "devstoreaccount1", true),
            ("AccountName=dev;AccountKey=AAAA;BlobEndpoint=http://127.0.0.1:10000/dev;".to_owned(), "dev", true),
            (format!("BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature={sas}"), "acct", false),
            (format!("BlobEndpoint=http://127.0.0.1:1/dev;SharedAccessSignature=?{sas}"), "dev", false),
        ] {
            let text = text.replace("AAAA==", "AAA=");
            let given = ConnectionString::parse(&text).unwrap();
            assert_eq!(given.account, account, "{text}");
            assert_eq!(matches!(given.credential, Given::Key(_)), key, "{text}");
        }
    }

    #[test]
    fn a_wrong_one_is_named_without_its_secret() {
        for (text, part) in [
            ("c2VjcmV0", "no Name=value"),
            ("AccountKey=c2VjcmV0", "neither AccountName"),
            ("AccountName=acct", "neither AccountKey"),
            ("AccountName=acct;AccountKey=c2VjcmV0!", "no base64"),
            (
                "AccountName=acct;SharedAccessSignature=sv=1&se=c2VjcmV0",
                "(sig)",
            ),
        ] {
            let failure = ConnectionString::parse(text).unwrap_err();
            assert!(failure.message.contains(part), "{text}: {failure}");
            assert!(!failure.message.contains("c2VjcmV0"), "{failure}");
        }
    }

    #[test]
    fn it_is_never_shown() {
        let given = ConnectionString::parse("UseDevelopmentStorage=true").unwrap();
        assert!(!format!("{given:?}").contains("Eby8"));
    }
}
