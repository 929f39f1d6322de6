//! What the application says to requests of sessions, beside whether they may begin one: fields of answers,
//! and that it is told of refusals and upgrades.
//!
//! Nothing here is called for an application that does not want it.

use http::header::{self, HeaderMap, HeaderName};
use yamabiko_protocol::engine::Rejection;
use yamabiko_protocol::http::Head;

use crate::connection::ConnectionKey;
use crate::response_body::put_fields;
use crate::session::SessionKey;
use crate::shard::{Shard, State};
use crate::socket::Admission;

/// Which calls of [`Application`](crate::Application) are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineHooks {
    /// [`allow_request`](crate::Application::allow_request)
    pub allow_request: bool,
    /// [`engine_headers`](crate::Application::engine_headers)
    pub headers: bool,
    /// [`connection_error`](crate::Application::connection_error)
    pub connection_error: bool,
    /// [`upgraded`](crate::Application::upgraded)
    pub upgraded: bool,
}

/// What an answer to a session's request means would change with these, beside what frames it.
const KEPT: [HeaderName; 9] = [
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
    header::TRAILER,
];

impl Shard {
    /// Asks the application for fields of the answer to a request, if it has some.
    pub(crate) fn ask_for_headers(&self, key: ConnectionKey, head: &Head<'_>, is_initial: bool) {
        if !self.hooks().headers {
            return;
        }
        let address = self.with(|state| state.client_address(key, head));
        let mut headers = HeaderMap::new();
        self.guarded(None, || {
            self.application().engine_headers(head, address, is_initial, &mut headers);
        });
        for name in KEPT {
            headers.remove(name);
        }
        if !headers.is_empty() {
            self.with(|state| state.put_extra(key, &headers));
        }
    }

    pub(crate) fn tell_refusal(
        &self,
        key: ConnectionKey,
        head: &Head<'_>,
        rejection: &Rejection<'_>,
    ) {
        if self.hooks().connection_error {
            let address = self.with(|state| state.client_address(key, head));
            self.guarded(None, || self.application().connection_error(head, address, rejection));
        }
    }

    /// A session is on a WebSocket now.
    pub(crate) fn tell_upgrade(&self, session: SessionKey) {
        if !self.hooks().upgraded {
            return;
        }
        let sockets = self.with(|state| {
            let entry = state.sessions.get(session);
            entry.map(|entry| entry.sockets.clone()).unwrap_or_default()
        });
        for (namespace, socket) in sockets {
            let connected = self.with(|state| {
                let entry = state.sockets.get(socket)?;
                matches!(entry.admission, Admission::Accepted).then(|| entry.state.clone())
            });
            if let Some(state) = connected {
                self.guarded(Some(socket), || {
                    self.application().upgraded(socket, namespace, state.as_ref());
                });
            }
        }
    }
}

impl State {
    /// Adds fields to those of this request's answer. One of a name that is there already takes its place,
    /// except where a name may stand more than once.
    fn put_extra(&mut self, key: ConnectionKey, headers: &HeaderMap) {
        let there = self.take_extra(key);
        let mut lines = Vec::with_capacity(there.len());
        for line in there.split_inclusive(|byte| *byte == b'\n') {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let name = HeaderName::from_bytes(name).ok();
            let is_replaced = name.is_some_and(|name| {
                name != header::SET_COOKIE && name != header::VARY && headers.contains_key(name)
            });
            if !is_replaced {
                lines.extend_from_slice(line);
            }
        }
        put_fields(headers, &mut lines);
        self.add_extra(key, lines);
    }
}
