//! A private RabbitMQ for tests: Debian's own package, loopback only, its own ports, folder,
//! cookie and port mapper. It ends with the test process, however that ends: a small shell holds
//! the other end of a pipe and kills the group when the pipe closes.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const SHIPPED: &str = include_str!("../../deploy/rabbitmq/rabbitmq.conf");
const BOOT: Duration = Duration::from_secs(90);

/// Runs port mapper and server as jobs with a process group each, and waits. A line means that the
/// node is to be killed, the end of the input that its files may go as well.
const KEEPER: &str = r#"
set -m
epmd </dev/null >/dev/null 2>&1 & mapper=$!
"$SERVER" </dev/null >"$RABBITMQ_LOG_BASE/console" 2>&1 & server=$!
read -r keep
kill -KILL -- -$server -$mapper
wait
[ -n "$keep" ] || rm -rf "$HOME"
"#;

/// One RabbitMQ node. Dropping it kills it and removes its files.
#[derive(Debug)]
pub(crate) struct Node {
    port: u16,
    distribution: u16,
    mapper: u16,
    home: TempDir,
    keeper: Option<Child>,
    more: String,
}

impl Node {
    /// Starts a node and waits until it accepts connections.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// The same, with more lines of configuration after the shipped ones.
    pub(crate) fn start_with(more: &str) -> Self {
        let mut node = Self::prepare();
        more.clone_into(&mut node.more);
        node.run();
        node.wait_until_up();
        node
    }

    /// Chooses ports and folder without starting anything.
    pub(crate) fn prepare() -> Self {
        assert!(
            Path::new(SERVER).exists(),
            "RabbitMQ is missing: apt-get install rabbitmq-server"
        );
        Self {
            port: free_port(),
            distribution: free_port(),
            mapper: free_port(),
            home: tempfile::Builder::new().prefix("rabbit").tempdir().unwrap(),
            keeper: None,
            more: String::new(),
        }
    }

    /// Starts the node, again after [`Node::kill`], with what it had on its disk.
    pub(crate) fn run(&mut self) {
        let home = self.home.path();
        let conf = home.join("rabbitmq.conf");
        let more = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\nlog.file.level = warning\n",
            self.port
        );
        // The shipped limit asks for more free disk than a test machine may have.
        let shipped = SHIPPED.replace("= 1GB", "= 50MB");
        fs::write(&conf, shipped + &more + &self.more).unwrap();
        fs::write(home.join("plugins"), "[].").unwrap();
        let mut keeper = Command::new("/bin/bash");
        self.name_in(&mut keeper);
        keeper
            .args(["-c", KEEPER])
            .env("SERVER", SERVER)
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_CONFIG_FILE", &conf)
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", home.join("data"))
            .env("RABBITMQ_LOG_BASE", home)
            .env("RABBITMQ_PID_FILE", home.join("pid"))
            // Where it would be is the folder the tests are run in.
            .env("ERL_CRASH_DUMP", home.join("crash"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        self.keeper = Some(keeper.spawn().unwrap());
    }

    /// Kills the node without warning; its files stay.
    pub(crate) fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let mut input = keeper.stdin.take().unwrap();
            input.write_all(b"keep\n").unwrap();
            keeper.wait().unwrap();
        }
    }

    /// Waits until the node accepts connections.
    pub(crate) fn wait_until_up(&self) {
        let pause = Duration::from_millis(50);
        for _ in 0..BOOT.as_millis() / pause.as_millis() {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return;
            }
            std::thread::sleep(pause);
        }
        let console = fs::read_to_string(self.home.path().join("console")).unwrap_or_default();
        panic!("RabbitMQ did not start within {BOOT:?}:\n{console}");
    }

    /// What the node has logged, from warnings on.
    pub(crate) fn log(&self) -> String {
        let files = fs::read_dir(self.home.path()).unwrap();
        let logs = files.map(|file| file.unwrap().path());
        let logs = logs.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        logs.map(|path| fs::read_to_string(path).unwrap_or_default())
            .collect()
    }

    /// Runs `rabbitmqctl` on the node; gives what it says.
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        let mut control = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
        self.name_in(&mut control);
        let output = control.args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn name_in(&self, command: &mut Command) {
        command
            .env("HOME", self.home.path())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.mapper.to_string())
            .env("RABBITMQ_NODENAME", format!("t{}@localhost", self.port))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
    }

    /// The URL of its default vhost.
    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A free port below those that outgoing connections are given: who is to have it listens only
/// after a while, and every connection made until then could take one of theirs.
pub(crate) fn free_port() -> u16 {
    std::iter::repeat_with(|| rand::random_range(20_000..32_000))
        .take(1_000)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("no port is free")
}

/// The URL of the node that all tests of this run share; isolate with [`prefix`].
pub(crate) fn url() -> String {
    shared().url()
}

fn shared() -> &'static Node {
    static SHARED: OnceLock<Node> = OnceLock::new();
    SHARED.get_or_init(Node::start)
}

/// The URL of a new vhost of that node, for programs that take no prefix.
pub(crate) fn vhost_url() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let vhost = format!("v{}", NEXT.fetch_add(1, Ordering::Relaxed));
    shared().control(&["add_vhost", &vhost]);
    shared().control(&["set_permissions", "-p", &vhost, "guest", ".*", ".*", ".*"]);
    shared().url().replace("%2f", &vhost)
}

/// A prefix for queue names that no other test uses.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}.", NEXT.fetch_add(1, Ordering::Relaxed))
}
