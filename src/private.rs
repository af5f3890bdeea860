//! Files and folders that their owner alone may read: they hold names of keys, URLs and accounts.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;

/// Makes a folder, and those above it that are missing, for its owner alone; one that is there and
/// this user's own is closed to others too.
///
/// # Errors
/// It cannot be made.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER)
        .create(path)?;
    // A folder of somebody else's, such as a mounted volume, stays as it is.
    fs::set_permissions(path, Permissions::from_mode(FOLDER)).unwrap_or_default();
    Ok(())
}

/// Options that make new files for their owner alone.
pub fn file_options() -> OpenOptions {
    let mut options = File::options();
    options.mode(FILE);
    options
}

/// Makes an empty file for its owner alone, unless there is one: others that are made beside it, as
/// SQLite's are, take its permissions.
///
/// # Errors
/// It cannot be made.
pub fn create_file(path: &Path) -> io::Result<()> {
    file_options()
        .create(true)
        .append(true)
        .open(path)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        create_folder(&folder).unwrap();
        let file = folder.join("f");
        create_file(&file).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        // One of an older version is closed too.
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        create_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
    }
}
