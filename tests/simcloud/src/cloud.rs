//! The handle tests hold.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::blob::grant::Grant;
use crate::blob::sas;
use crate::blob::store::{Account, Container, Token};
use crate::clock::unix_millis;
use crate::config::Config;
use crate::content::mix;
use crate::faults::Schedule;
use crate::fetch::{Fetcher, Routes};
use crate::lock;
use crate::object::Object;
use crate::quirks::Quirks;
use crate::s3::auth::Secret;
use crate::s3::store::{Bucket, Keys, Stored};
use crate::server::{Side, serve};
use crate::state::{Addresses, State};
use crate::tls::Tls;

/// The access key every simulated cloud knows.
pub const ACCESS_KEY: &str = "AKIASIMCLOUD00000001";
/// Its secret.
pub const SECRET_KEY: &str = "simcloud/secret+key/of/forty+characters0";
/// The account every simulated cloud has.
pub const ACCOUNT: &str = "simaccount";

/// A running pair of clouds; they end when it is dropped.
#[derive(Debug)]
pub struct SimCloud {
    pub(crate) state: Arc<State>,
    ca_pem: Option<String>,
    servers: Vec<JoinHandle<()>>,
}

impl Drop for SimCloud {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

impl SimCloud {
    /// Listens on 127.0.0.1 and serves on the runtime this is called in.
    ///
    /// # Errors
    /// When a port cannot be bound or the certificate authority cannot be made.
    pub async fn start(config: Config) -> io::Result<Self> {
        let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let s3 = bind(config.ports.s3).await?;
        let blob = bind(config.ports.blob).await?;
        let tls = match config.tls {
            true => Some((Tls::new()?, bind(config.ports.tls).await?)),
            false => None,
        };
        let addresses = Addresses {
            s3: s3.local_addr()?,
            blob: blob.local_addr()?,
            tls: match &tls {
                Some((_, listener)) => Some(listener.local_addr()?),
                None => None,
            },
        };
        let fetcher = Fetcher::new(Routes {
            s3: addresses.s3,
            blob: addresses.blob,
            tls: addresses
                .tls
                .zip(tls.as_ref().map(|(tls, _)| tls.connector.clone())),
        });
        let schedule = Schedule::new(config.faults);
        let state = State::new(config.keep, config.fetch, addresses, fetcher, schedule)
            .with_quirks(Quirks::new(config.quirks));
        let state = Arc::new(state);
        let mut servers = vec![
            tokio::spawn(serve(Arc::clone(&state), s3, Side::S3, None)),
            tokio::spawn(serve(Arc::clone(&state), blob, Side::Blob, None)),
        ];
        let ca_pem = tls.as_ref().map(|(tls, _)| tls.ca_pem.clone());
        if let Some((tls, listener)) = tls {
            let state = Arc::clone(&state);
            servers.push(tokio::spawn(serve(
                state,
                listener,
                Side::ByHost,
                Some(tls.acceptor),
            )));
        }
        let cloud = Self {
            state,
            ca_pem,
            servers,
        };
        cloud.add_access_key(ACCESS_KEY, SECRET_KEY);
        cloud.add_account(ACCOUNT);
        Ok(cloud)
    }

    /// `http://127.0.0.1:PORT`, every region, path style.
    pub fn s3_url(&self) -> String {
        format!("http://{}", self.state.addresses.s3)
    }

    /// `http://127.0.0.1:PORT/ACCOUNT`.
    pub fn blob_url(&self, account: &str) -> String {
        format!("http://{}/{account}", self.state.addresses.blob)
    }

    /// Where TLS is spoken for any host name, if it was asked for.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.state.addresses.tls
    }

    /// The authority to trust, if TLS was asked for.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Moves both clouds' clocks: seconds ahead of the machine's, negative for behind.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.state.clock.set_ahead(seconds);
        self.set_s3_clock_ahead(seconds);
    }

    /// Moves S3's clock alone.
    pub fn set_s3_clock_ahead(&self, seconds: i64) {
        self.state.s3_clock.set_ahead(seconds);
    }

    /// The Blob service's answers tell no time any more: their Date is none.
    pub fn hide_clock(&self) {
        self.state.clock.hide();
    }

    /// The time the Blob service believes it is.
    pub fn now(&self) -> SystemTime {
        self.state.clock.now()
    }

    /// A long-lived access key.
    pub fn add_access_key(&self, id: &str, secret: &str) {
        let secret = Secret {
            key: secret.to_owned(),
            session: None,
        };
        lock(&self.state.secrets).insert(id.to_owned(), secret);
    }

    /// An access key that is good, together with the token, until `end`.
    pub fn add_session_key(&self, id: &str, secret: &str, token: &str, end: SystemTime) {
        let secret = Secret {
            key: secret.to_owned(),
            session: Some((token.to_owned(), end)),
        };
        lock(&self.state.secrets).insert(id.to_owned(), secret);
    }

    /// Makes an access key unknown.
    pub fn remove_access_key(&self, id: &str) {
        lock(&self.state.secrets).remove(id);
    }

    /// An empty bucket; one of that name is replaced.
    pub fn add_bucket(&self, name: &str, region: &str) {
        self.insert_bucket(name, region, Keys::Stored(Default::default()));
    }

    /// A bucket of `count` objects of `length` bytes whose keys are `prefix` and ten digits;
    /// nothing of them is stored, so there may be billions.
    pub fn add_series_bucket(
        &self,
        name: &str,
        region: &str,
        prefix: &str,
        count: u64,
        length: u64,
    ) {
        let keys = Keys::Series {
            prefix: prefix.to_owned(),
            count,
            length,
            created: unix_millis(self.state.s3_clock.now()),
        };
        self.insert_bucket(name, region, keys);
    }

    fn insert_bucket(&self, name: &str, region: &str, keys: Keys) {
        let bucket = Bucket {
            region: region.to_owned(),
            created: unix_millis(self.state.s3_clock.now()),
            public: false,
            keys,
            older: Default::default(),
        };
        lock(&self.state.s3).buckets.insert(name.to_owned(), bucket);
    }

    /// Lets unsigned requests read a bucket.
    pub fn make_public(&self, bucket: &str) {
        if let Some(bucket) = lock(&self.state.s3).buckets.get_mut(bucket) {
            bucket.public = true;
        }
    }

    /// Puts an object. One of another version that was there is kept, and can be asked for by its
    /// id. Of a bucket that does not exist, or of a series, nothing is put.
    pub fn put_object(&self, bucket: &str, key: &str, object: Object) {
        self.put_objects(bucket, [(key.to_owned(), object)]);
    }

    /// Puts many objects.
    pub fn put_objects(&self, bucket: &str, objects: impl IntoIterator<Item = (String, Object)>) {
        let now = unix_millis(self.state.s3_clock.now());
        let objects = objects.into_iter();
        let stored = objects.map(|(key, object)| (key.into(), Stored::new(object, now)));
        let stored: Vec<(Box<str>, Stored)> = stored.collect();
        if let Some(bucket) = lock(&self.state.s3).buckets.get_mut(bucket) {
            for (key, stored) in stored {
                bucket.put(key, stored);
            }
        }
    }

    /// Deletes an object. A version that has an id is no longer listed, but can be asked for.
    pub fn delete_object(&self, bucket: &str, key: &str) {
        if let Some(bucket) = lock(&self.state.s3).buckets.get_mut(bucket) {
            bucket.delete(key);
        }
    }

    /// Deletes one version of an object for good; the one before it is listed again.
    pub fn delete_version(&self, bucket: &str, key: &str, version: &str) {
        if let Some(bucket) = lock(&self.state.s3).buckets.get_mut(bucket) {
            bucket.delete_version(key, version);
        }
    }

    /// A storage account; its key is a function of its name.
    pub fn add_account(&self, name: &str) {
        self.insert_account(name, false);
    }

    /// A storage account with a hierarchical namespace, as Get Account Information tells it:
    /// blobs lie in directories, and no path is both.
    pub fn add_hierarchical_account(&self, name: &str) {
        self.insert_account(name, true);
    }

    fn insert_account(&self, name: &str, hierarchical: bool) {
        let seed = name
            .bytes()
            .fold(0, |seed, byte| mix(seed ^ u64::from(byte)));
        let account = Account {
            key: (0..8)
                .flat_map(|word| mix(seed ^ word).to_le_bytes())
                .collect(),
            hierarchical,
            ..Account::default()
        };
        lock(&self.state.blob)
            .accounts
            .insert(name.to_owned(), account);
    }

    /// The account's key in base64; empty for an unknown account.
    pub fn account_key(&self, account: &str) -> String {
        STANDARD.encode(self.raw_key(account))
    }

    fn raw_key(&self, account: &str) -> Vec<u8> {
        let store = lock(&self.state.blob);
        let account = store.accounts.get(account);
        account
            .map(|account| account.key.clone())
            .unwrap_or_default()
    }

    /// An account SAS (blob service, all resource types) as a query string without `?`.
    pub fn sas(&self, account: &str, permissions: &str, expiry: SystemTime) -> String {
        sas::account_sas(account, &self.raw_key(account), permissions, expiry)
    }

    /// A SAS for one container as a query string without `?`.
    pub fn container_sas(
        &self,
        account: &str,
        container: &str,
        permissions: &str,
        expiry: SystemTime,
    ) -> String {
        let key = self.raw_key(account);
        sas::container_sas(account, container, &key, permissions, expiry)
    }

    /// A SAS for what lies in one folder of a container (`sr=d`), as a query string without `?`.
    pub fn directory_sas(
        &self,
        account: &str,
        (container, folder): (&str, &str),
        permissions: &str,
        expiry: SystemTime,
    ) -> String {
        let key = self.raw_key(account);
        sas::directory_sas(account, (container, folder), &key, permissions, expiry)
    }

    /// A bearer token that is good for everything in an account until `end`: the role Storage
    /// Blob Data Owner.
    pub fn add_token(&self, account: &str, token: &str, end: SystemTime) {
        self.insert_token(account, token, Grant::Full, end);
    }

    /// A bearer token as that of [`add_token`](Self::add_token), but without the right to index
    /// tags, which the role Storage Blob Data Contributor is not known to have.
    pub fn add_token_without_tags(&self, account: &str, token: &str, end: SystemTime) {
        self.insert_token(account, token, Grant::AllButTags, end);
    }

    fn insert_token(&self, account: &str, token: &str, grant: Grant, end: SystemTime) {
        if let Some(account) = lock(&self.state.blob).accounts.get_mut(account) {
            let granted = Token { grant, end };
            account.tokens.insert(token.to_owned(), granted);
        }
    }

    /// A container, as if created by a request.
    pub fn add_container(&self, account: &str, container: &str) {
        let stamp = self.state.stamp();
        if let Some(account) = lock(&self.state.blob).accounts.get_mut(account) {
            let hierarchical = account.hierarchical;
            let container = account.containers.entry(container.to_owned());
            container.or_insert_with(|| Container {
                stamp,
                hierarchical,
                ..Container::default()
            });
        }
    }

    /// A directory, and those it lies in, as if made by the Data Lake service. In an account
    /// without a hierarchical namespace nothing is made.
    pub fn add_directory(&self, account: &str, container: &str, path: &str) {
        let stamp = self.state.stamp();
        if let Ok(container) = lock(&self.state.blob).container(account, container) {
            container.make_parents(&format!("{path}/"), stamp);
        }
    }
}
