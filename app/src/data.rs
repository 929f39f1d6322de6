//! Data of a socket that other cores and hosts may read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::socket::Socket;

/// Data of this socket that **others may read**: Socket.IO's `socket.data`, which `fetch_sockets` brings from
/// other cores and hosts. So it is JSON, and is written out each time it is changed.
///
/// | | [`Socket::set`], [`Socket::get`] | [`Socket::set_data`], [`Socket::data`] |
/// |---|---|---|
/// | holds | one value of each type, of any type | one value that serde can write |
/// | read by | handlers of this socket's core, as an `Rc` | everybody, as a copy |
/// | costs | a pointer | writing and reading JSON |
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use yamabiko::{Namespace, Reject, Socket};
/// #[derive(Serialize, Deserialize)]
/// struct Profile {
///     name: String,
/// }
///
/// Namespace::new()
///     .on("name", |socket: Socket, name: String| -> Result<(), Reject> {
///         Ok(socket.set_data(&Profile { name })?)
///     })
///     .on("who am I?", |socket: Socket| socket.data::<Profile>().map(|profile| profile.name));
/// ```
impl Socket {
    /// The data, or `None` if that is no `T`. As long as nothing was set it is an empty object, as in Node.
    pub fn data<T: DeserializeOwned>(&self) -> Option<T> {
        let rare = self.inner.rare();
        let data = rare.map(|rare| rare.data.borrow());
        let json = data.as_ref().and_then(|data| data.as_deref());
        serde_json::from_str(json.unwrap_or(EMPTY)).ok()
    }

    /// Replaces the data.
    ///
    /// # Errors
    /// It cannot be JSON; nothing is changed then.
    pub fn set_data<T: Serialize + ?Sized>(&self, data: &T) -> Result<(), serde_json::Error> {
        let json = serde_json::to_string(data)?;
        self.inner.rare_or_new().data.replace(Some(json.into()));
        Ok(())
    }

    /// Changes members of the data. What is no object becomes one.
    ///
    /// ```
    /// # use yamabiko::{Namespace, Socket};
    /// Namespace::new().on("level", |socket: Socket, level: u32| {
    ///     socket.update_data(|data| {
    ///         data.insert("level".into(), level.into());
    ///     });
    /// });
    /// ```
    pub fn update_data<R>(&self, change: impl FnOnce(&mut Map<String, Value>) -> R) -> R {
        let mut data: Map<String, Value> = self.data().unwrap_or_default();
        let result = change(&mut data);
        let json = Value::Object(data).to_string();
        self.inner.rare_or_new().data.replace(Some(json.into()));
        result
    }
}

/// The data of a socket that has none.
pub(crate) const EMPTY: &str = "{}";
