//! Settings of the servers.

use super::{SettingError, read, unknown, within};

settings! {
    /// What programs that speak another protocol than D-Bus may do.
    "server" ServerSettings;
    ServerOverrides;
    /// File with the token that clients have to send; empty needs none.
    token_file: String = String::new();
    /// Names by which clients may call this machine, besides those of the loopback interface.
    hosts: Vec<String> = Vec::new();
    /// Web pages that may use it, such as "http://localhost:3000".
    origins: Vec<String> = Vec::new();
    /// Size of the largest recording in megabytes.
    max_upload: f64 = 25.0, 1.0 to 4096.0;
    /// Length of the longest recording in seconds.
    longest: f64 = 14_400.0, 1.0 to 864_000.0;
    /// Number of recordings that wait while one is being transcribed.
    waiting: f64 = 4.0, 0.0 to 1000.0;
}
