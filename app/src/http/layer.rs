//! The way of a request through layers to what they lie around.

use std::rc::Rc;

use super::failure::Failure;
use super::handler::{Answering, Handler, Layer};
use super::{Request, Response};

/// The rest of the way: further layers, then the handler.
///
/// A layer runs it and gives its outcome back, changed or not; or it answers by itself, and then nothing
/// behind it runs.
///
/// ```
/// use yamabiko::{App, Failure, Next, Request, RequestExt, http::StatusCode};
///
/// async fn signed_in(mut request: Request, next: Next) -> Result<yamabiko::Response, Failure> {
///     let Some("Bearer open sesame") = request.header("authorization") else {
///         return Err(StatusCode::UNAUTHORIZED.into());
///     };
///     request.extensions_mut().insert(User("ali")); // handlers find it there
///     next.run(request).await
/// }
///
/// #[derive(Clone)]
/// struct User(&'static str);
///
/// App::new()
///     .layer(async |request, next| {
///         let what = format!("{} {}", request.method(), request.original_url());
///         let outcome = next.run(request).await;
///         tracing::info!(%what, ok = outcome.is_ok());
///         outcome
///     })
///     .layer(signed_in)
///     .get("/cave", async |_| "gold");
/// ```
pub struct Next {
    layers: Rc<[Layer]>,
    at: usize,
    inner: Handler,
}

impl Next {
    pub(crate) fn new(layers: Rc<[Layer]>, inner: Handler) -> Self {
        Self { layers, at: 0, inner }
    }

    /// Lets the request go on.
    ///
    /// # Errors
    /// What the handler, or a layer on the way to it, failed with. Where nobody has a route for the request
    /// that is a [`Failure`] too ([`Failure::is_unmatched`]).
    pub async fn run(self, request: Request) -> Result<Response, Failure> {
        self.go(request).await
    }

    pub(crate) fn go(self, request: Request) -> Answering {
        let layer = self.layers.get(self.at).cloned();
        match layer {
            Some(layer) => layer(request, Self { at: self.at + 1, ..self }),
            None => (self.inner)(request),
        }
    }
}
