//! The same chain by AzCopy's own variables.

use super::world::{Issuers, Place};
use super::{Setup, fake_az, form, trusting};

type Variables = Vec<(&'static str, String)>;

fn variables(given: &[(&'static str, &str)]) -> Variables {
    let owned = given
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    owned.collect()
}

/// A service principal by AzCopy's names alone.
fn principal(place: &Place) -> Variables {
    let mut principal = variables(&[
        ("AZCOPY_TENANT_ID", "tenant"),
        ("AZCOPY_SPA_APPLICATION_ID", "app"),
        ("AZCOPY_SPA_CLIENT_SECRET", "azcopys"),
    ]);
    let issuer = format!("https://{}/", place.secure);
    principal.push(("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", issuer));
    principal
}

/// Reaches the account once; gives what the issuers were asked.
async fn reached(place: &Place, variables: &Variables) -> Vec<super::Asked> {
    let setup = Setup::new(place, &trusting(place), variables);
    setup.auth.prepare().await.unwrap();
    assert!(setup.reach().await.unwrap());
    place.world.asked()
}

#[tokio::test]
async fn a_service_principal_is_known_by_azcopys_names() {
    let place = Place::start().await;
    let asked = reached(&place, &principal(&place)).await;
    let [asked] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(asked.target, "/tenant/oauth2/v2.0/token");
    assert_eq!(form(asked)["client_id"], "app");
    assert_eq!(form(asked)["client_secret"], "azcopys");
}

#[tokio::test]
async fn azures_own_names_win() {
    let place = Place::start().await;
    let mut both = principal(&place);
    both.extend(variables(&[
        ("AZURE_TENANT_ID", "other"),
        ("AZURE_CLIENT_ID", "own"),
        ("AZURE_CLIENT_SECRET", "azures"),
    ]));
    let asked = reached(&place, &both).await;
    assert_eq!(asked[0].target, "/other/oauth2/v2.0/token");
    assert_eq!(form(&asked[0])["client_id"], "own");
    assert_eq!(form(&asked[0])["client_secret"], "azures");
}

/// Each way to name one of a machine's identities.
#[tokio::test]
async fn a_managed_identity_is_named_in_three_ways() {
    for (variable, field) in [
        ("AZCOPY_MSI_CLIENT_ID", "client_id"),
        ("AZCOPY_MSI_OBJECT_ID", "object_id"),
        ("AZCOPY_MSI_RESOURCE_STRING", "msi_res_id"),
    ] {
        let place = Place::start().await;
        let given = variables(&[("AZCOPY_AUTO_LOGIN_TYPE", "MSI"), (variable, "mine")]);
        let asked = reached(&place, &given).await;
        let [asked] = &asked[..] else {
            panic!("{asked:?}");
        };
        let end = format!("&{field}=mine");
        assert!(asked.target.ends_with(&end), "{variable}: {}", asked.target);
    }
}

/// With everything set at once, the type decides who is asked, and nobody else is.
#[tokio::test]
async fn the_login_type_leaves_one_member_of_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "federated").unwrap();
    for (kind, target, part) in [
        ("SPN", "/tenant/oauth2/v2.0/token", "client_secret=azcopys"),
        (
            "Workload",
            "/tenant/oauth2/v2.0/token",
            "client_assertion=federated",
        ),
        ("msi", "/metadata/identity/oauth2/token", ""),
        ("AZCLI", "", ""),
    ] {
        let place = Place::start().await;
        let mut all = principal(&place);
        let path = fake_az(folder.path());
        all.push(("PATH", path));
        all.push(("AZURE_FEDERATED_TOKEN_FILE", token.display().to_string()));
        all.push(("AZCOPY_AUTO_LOGIN_TYPE", kind.to_owned()));

        let asked = reached(&place, &all).await;

        let cli = std::fs::remove_file(folder.path().join("asked")).is_ok();
        assert_eq!(cli, target.is_empty(), "{kind}");
        assert_eq!(
            asked.len(),
            usize::from(!target.is_empty()),
            "{kind}: {asked:?}"
        );
        for asked in asked {
            assert!(asked.target.starts_with(target), "{kind}: {}", asked.target);
            assert!(asked.body.contains(part), "{kind}: {}", asked.body);
        }
    }
}

/// No other member is tried in place of the one that is asked for.
#[tokio::test]
async fn a_login_that_is_refused_has_no_substitute() {
    let place = Place::start().await;
    place.world.issuers(Issuers::Refuse);
    let folder = tempfile::tempdir().unwrap();
    let mut given = variables(&[("AZCOPY_AUTO_LOGIN_TYPE", "MSI")]);
    given.push(("PATH", fake_az(folder.path())));
    let setup = Setup::new(&place, &trusting(&place), &given);
    let failure = setup.auth.prepare().await.unwrap_err();
    assert!(failure.message.contains("managed identity"), "{failure}");
    assert!(!folder.path().join("asked").exists());
}
