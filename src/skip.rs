//! Why an object is left out on purpose: a closed list, so that it can be a metric's label.

use std::fmt;

use crate::message::Ending;

/// Why an object is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// A key that ends in `/` and stands for a folder.
    FolderMarker,
    /// Its storage class must be restored before it can be read.
    Archived,
    /// There is a blob of its name, which is not to be replaced.
    DestinationExists,
    /// The blob of its name is as young or younger.
    DestinationNewer,
    /// The blob of its name has the same size and content.
    Unchanged,
    /// Azure cannot hold its name.
    InvalidName,
}

impl Skip {
    /// The reason as it stands in outcomes, reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FolderMarker => "folder_marker",
            Self::Archived => "archived",
            Self::DestinationExists => "destination_exists",
            Self::DestinationNewer => "destination_newer",
            Self::Unchanged => "unchanged",
            Self::InvalidName => "invalid_name",
        }
    }
}

impl Skip {
    /// The ending of an object that is left out; the message says more for people, or nothing.
    pub fn ending(self, message: impl Into<String>) -> Ending {
        Ending::Skipped {
            reason: self.to_string(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
