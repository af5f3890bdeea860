//! moto's S3 server: a foreign S3 with several regions. It checks no signature and answers a
//! wrong region as if it were right, so it proves nothing about signing; that is simcloud's part.

use std::sync::OnceLock;

use serde_json::Value;

use crate::parts;

/// A running server; ended when dropped.
#[derive(Debug)]
pub(crate) struct Moto {
    server: parts::Server,
}

/// Starts an empty server.
pub(crate) fn start() -> Moto {
    let program = parts::path("venv/bin/moto_server");
    let server = parts::Server::start(&program, &["-p", "0"], " * Running on ");
    Moto { server }
}

/// A server that holds the scenario of `tests/parts/plan.py`, shared by all tests that only read.
pub(crate) fn seeded() -> &'static Moto {
    static SEEDED: OnceLock<Moto> = OnceLock::new();
    SEEDED.get_or_init(|| {
        let moto = start();
        moto.seed(None);
        moto
    })
}

impl Moto {
    /// Its endpoint, e.g. `http://127.0.0.1:40123`.
    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    /// Puts a plan's buckets and objects into it, or those of the built-in scenario.
    pub(crate) fn seed(&self, plan: Option<&Value>) -> Value {
        self.with_plan("seed.py", plan)
    }

    /// Every object of the plan with a presigned URL and its properties; see presign.py.
    pub(crate) fn presigned(&self, plan: Option<&Value>) -> Value {
        self.with_plan("presign.py", plan)
    }

    fn with_plan(&self, script: &str, plan: Option<&Value>) -> Value {
        let file = plan.map(parts::json_file);
        let mut arguments = vec!["--endpoint", self.url()];
        if let Some(file) = &file {
            arguments.extend(["--plan", file.path().to_str().unwrap()]);
        }
        parts::script(script, &arguments)
    }
}
