//! How a server is set up: defaults, then a TOML file, then environment variables, then flags; what comes
//! later wins.
//!
//! Every option has one name, Socket.IO's where it has one, in three spellings: `ping-interval` in the file,
//! `YAMABIKO_PING_INTERVAL` in the environment, `--ping-interval` on the command line. An option that does
//! not exist is an error in the file and on the command line; in the environment, where an orchestrator may
//! put variables of its own (`YAMABIKO_SERVICE_HOST`), it is a warning.
//!
//! | module | what it owns |
//! |---|---|
//! | `options` | the options: their names, documentation and defaults |
//! | `layers` | file over defaults, environment and flags over file; options that do not exist |
//! | `checked` | from options to a server's settings and back |
//! | `value` | times, lists and other values as people write them |

mod checked;
mod layers;
mod options;
mod value;

pub use checked::{Config, ConfigError};
pub use options::Options;
pub use value::{LogFormat, ServeClient};
