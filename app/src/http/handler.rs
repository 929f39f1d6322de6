//! Handlers and layers as the router keeps them: one kind of boxed call each.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use super::failure::Failure;
use super::into_response::IntoResponse;
use super::layer::Next;
use super::{Request, Response};

/// An answer on its way.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response, Failure>>>>;

/// Takes a request and answers it.
pub(crate) type Handler = Rc<dyn Fn(Request) -> Answering>;

/// Takes a request on its way to its handler.
pub(crate) type Layer = Rc<dyn Fn(Request, Next) -> Answering>;

/// Makes an answer of a failure.
pub(crate) type ErrorHandler = Rc<dyn Fn(Failure, Request) -> Answering>;

pub(crate) fn handler<F, R>(handler: F) -> Handler
where
    F: AsyncFn(Request) -> R + 'static,
    R: IntoResponse,
{
    let handler = Rc::new(handler);
    Rc::new(move |request| {
        let handler = Rc::clone(&handler);
        Box::pin(async move { handler(request).await.into_response() })
    })
}

pub(crate) fn layer<F, R>(layer: F) -> Layer
where
    F: AsyncFn(Request, Next) -> R + 'static,
    R: IntoResponse,
{
    let layer = Rc::new(layer);
    Rc::new(move |request, next| {
        let layer = Rc::clone(&layer);
        Box::pin(async move { layer(request, next).await.into_response() })
    })
}

pub(crate) fn error_handler<F, R>(handler: F) -> ErrorHandler
where
    F: AsyncFn(Failure, Request) -> R + 'static,
    R: IntoResponse,
{
    let handler = Rc::new(handler);
    Rc::new(move |failure, request| {
        let handler = Rc::clone(&handler);
        Box::pin(async move { handler(failure, request).await.into_response() })
    })
}
