//! HTTP beside the sockets, as people know it from Express: routers, layers, files, bodies in pieces.
//!
//! | file | what it owns |
//! |---|---|
//! | `router`, `route`, `prefix` | what is declared: paths, methods, where parts are mounted |
//! | `dispatch`, `layer`, `handler` | the way of a request through it |
//! | `path`, `origin`, `request_ext` | one spelling for each path; where a request came from; what handlers ask it |
//! | `body`, `into_response`, `failure` | what goes in and out, and what goes wrong |
//! | `files`, `file_stream`, `condition`, `range` | the files of a directory |
//! | `sse`, `compression` | server-sent events; smaller bodies |
//! | `service` | `tower` services as parts (feature `tower`) |
//! | `answering` | between the runtime's exchanges and all this |

pub(crate) mod answering;
mod body;
mod compression;
mod condition;
mod dispatch;
mod failure;
mod file_stream;
mod files;
mod handler;
mod into_response;
mod layer;
mod origin;
mod path;
mod prefix;
mod range;
mod request_ext;
mod route;
mod router;
#[cfg(feature = "tower")]
pub mod service;
mod sse;
#[cfg(test)]
mod testing;

pub use body::Body;
pub use compression::compression;
pub(crate) use dispatch::Dispatch;
pub use failure::Failure;
pub use files::{Dotfiles, Files};
pub use into_response::{Html, IntoResponse, Json, Redirect};
pub use layer::Next;
pub(crate) use prefix::Prefix;
pub use request_ext::RequestExt;
pub use route::Route;
pub use router::Router;
pub use sse::{Sse, SseEvent, SseSender, Unheard};

/// A request: the crate `http`'s, and [`RequestExt`] on it.
pub type Request = ::http::Request<Body>;
/// A response: the crate `http`'s. What becomes one is told at [`IntoResponse`].
pub type Response = ::http::Response<Body>;

pub use ::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
pub use yamabiko_protocol::http::{Cookie, CookieError, Cors, Origins, SameSite};
pub use yamabiko_runtime::{BodyError, Client};

/// The guide's samples.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/http.md")]
struct Guide;
