//! Bad input of every kind: each ends with one line that names cause and remedy, exit code 1 or 2,
//! without a panic, a hang, or a secret on the screen, and nothing half-counted.

mod run;
mod table;

use futures_util::StreamExt;
use futures_util::stream;

use self::run::World;
use self::table::Case;

/// Cases run at a time.
const AT_ONCE: usize = 4;

async fn each_is_refused(cases: &[Case]) {
    let world = &World::start().await;
    let faults: Vec<String> = stream::iter(cases)
        .map(|(name, line, env, code, says)| async move {
            let ended = world.run(line, env).await;
            let error = ended.error();
            let missing: Vec<_> = says.iter().filter(|part| !error.contains(**part)).collect();
            let right = ended.code == Some(*code) && missing.is_empty();
            (!right).then(|| {
                format!("\n{name}: {missing:?} is missing, or not code {code}: {ended:#?}")
            })
        })
        .buffered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(faults.is_empty(), "{}", faults.concat());
}

#[tokio::test]
async fn wrong_use() {
    each_is_refused(table::WRONG_USE).await;
}

#[tokio::test]
async fn credentials() {
    each_is_refused(table::CREDENTIALS).await;
}

#[tokio::test]
async fn places() {
    each_is_refused(table::PLACES).await;
}
