//! What is known of a request beside what HTTP says: where it came from, where it was sent, how it got
//! to its handler. It travels in the request's extensions.

use std::net::SocketAddr;

use ::http::Uri;
use ::http::uri::PathAndQuery;

use super::Request;
use super::path::{BadPath, decode, routed};

/// The facts of one request.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) peer: SocketAddr,
    /// The target as the client sent it.
    pub(crate) original: Uri,
    /// The whole path in the spelling that is routed.
    whole: Uri,
    /// How much of it the routers so far have used up.
    base: usize,
    /// What the paths of routers and routes have taken out of it, decoded.
    pub(crate) params: Vec<Param>,
}

/// The name of a parameter, and what stood there, decoded.
pub(crate) type Param = (Box<str>, String);

/// How far a request was before a part was asked for it.
pub(crate) struct Mark {
    base: usize,
    params: usize,
    uri: Uri,
}

impl Origin {
    /// Begins to route a request.
    ///
    /// # Errors
    /// Its path is not to be routed at all.
    pub(crate) fn begin(request: &mut Request, peer: SocketAddr) -> Result<(), BadPath> {
        let original = request.uri().clone();
        let spelled = routed(original.path())?.into_owned();
        if spelled != original.path() {
            *request.uri_mut() = target(&spelled, original.query())?;
        }
        let whole = request.uri().clone();
        let origin = Self { peer, original, whole, base: 0, params: Vec::new() };
        request.extensions_mut().insert(origin);
        Ok(())
    }

    pub(crate) fn of(request: &Request) -> Option<&Self> {
        request.extensions().get()
    }

    /// The part of the path that the routers so far have used up.
    pub(crate) fn base_url(&self) -> &str {
        &self.whole.path()[..self.base]
    }

    /// Whether nothing is left of the path, not even a slash.
    pub(crate) fn is_bare(&self) -> bool {
        self.base == self.whole.path().len()
    }

    /// Keeps what a path took, decoded.
    pub(crate) fn keep(request: &mut Request, params: Vec<Param>) {
        if let Some(origin) = request.extensions_mut().get_mut::<Self>() {
            origin.params.extend(params);
        }
    }

    /// Lets a part see the path from `used` bytes on as its own.
    pub(crate) fn enter(request: &mut Request, used: usize, params: Vec<Param>) -> Mark {
        let uri = request.uri().clone();
        let mark = match Self::of(request) {
            Some(origin) => {
                Mark { base: origin.base, params: origin.params.len(), uri: uri.clone() }
            }
            None => Mark { base: 0, params: 0, uri: uri.clone() },
        };
        if used > 0 {
            let rest = uri.path().get(used..).filter(|rest| rest.starts_with('/')).unwrap_or("/");
            if let Ok(inner) = target(rest, uri.query()) {
                *request.uri_mut() = inner;
            }
        }
        if let Some(origin) = request.extensions_mut().get_mut::<Self>() {
            origin.base += used;
            origin.params.extend(params);
        }
        mark
    }

    /// The part had nothing for it.
    pub(crate) fn leave(request: &mut Request, mark: Mark) {
        *request.uri_mut() = mark.uri;
        if let Some(origin) = request.extensions_mut().get_mut::<Self>() {
            origin.base = mark.base;
            origin.params.truncate(mark.params);
        }
    }
}

/// What a path took, decoded.
pub(crate) fn param(name: &str, value: &str) -> Param {
    // The whole path has been decoded once, and its parts end where its segments do.
    (name.into(), decode(value).map(|value| value.into_owned()).unwrap_or_default())
}

fn target(path: &str, query: Option<&str>) -> Result<Uri, BadPath> {
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::try_from(text).map(Uri::from).map_err(|_| BadPath)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::request;

    #[test]
    fn a_part_sees_its_own_path_and_the_rest_can_be_had_again() {
        let mut request = request("GET", "/chat/%72ooms/7?x=%61");
        assert_eq!(request.uri(), "/chat/rooms/7?x=%61");
        let outer = Origin::enter(&mut request, 5, Vec::new());
        let inner = Origin::enter(&mut request, 6, vec![param("a", "%2F")]);
        assert_eq!(request.uri(), "/7?x=%61");
        let origin = Origin::of(&request).unwrap();
        assert_eq!((origin.base_url(), &*origin.params[0].1), ("/chat/rooms", "/"));
        assert_eq!(origin.original, "/chat/%72ooms/7?x=%61");
        Origin::leave(&mut request, inner);
        assert_eq!(request.uri(), "/rooms/7?x=%61");
        Origin::leave(&mut request, outer);
        assert_eq!(request.uri(), "/chat/rooms/7?x=%61");
        assert!(Origin::of(&request).unwrap().params.is_empty());
    }

    #[test]
    fn a_part_that_is_the_whole_path_sees_its_root() {
        let mut request = request("GET", "/chat?x");
        Origin::enter(&mut request, 5, Vec::new());
        assert_eq!(request.uri(), "/?x");
    }
}
