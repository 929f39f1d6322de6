//! What answers one path: a handler for each method, and layers around them.

use std::rc::Rc;

use ::http::Method;

use super::Request;
use super::handler::{Handler, Layer, handler, layer};
use super::into_response::IntoResponse;
use super::layer::Next;

/// The handlers of one path, for [`Router::route`](crate::Router::route).
///
/// ```
/// use yamabiko::{App, Route};
///
/// let thing = Route::new()
///     .get(async |_| "here it is")
///     .delete(async |_| ())
///     .layer(async |request, next| {
///         tracing::info!("somebody is at the thing");
///         next.run(request).await
///     });
/// App::new().route("/thing", thing);
/// ```
#[derive(Default)]
pub struct Route {
    handlers: Vec<(Method, Handler)>,
    any: Option<Handler>,
    layers: Vec<Layer>,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident => $method:ident),* $(,)?) => {
        impl Route {
            $($(#[$doc])*
            pub fn $name<F, R>(self, answer: F) -> Self
            where
                F: AsyncFn(Request) -> R + 'static,
                R: IntoResponse,
            {
                self.on(Method::$method, answer)
            })*
        }
    };
}

methods!(
    /// Answers GET, and HEAD unless that has a handler of its own.
    get => GET,
    /// Answers POST.
    post => POST,
    /// Answers PUT.
    put => PUT,
    /// Answers DELETE.
    delete => DELETE,
    /// Answers PATCH.
    patch => PATCH,
    /// Answers HEAD. A body is not sent.
    head => HEAD,
    /// Answers OPTIONS, which else is answered with the methods there are.
    options => OPTIONS,
);

impl Route {
    /// A route that answers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a method, any at all. A second handler for the same replaces the first.
    pub fn on<F, R>(mut self, method: Method, answer: F) -> Self
    where
        F: AsyncFn(Request) -> R + 'static,
        R: IntoResponse,
    {
        self.put_handler(method, handler(answer));
        self
    }

    /// Answers every method that has no handler of its own.
    pub fn all<F, R>(mut self, answer: F) -> Self
    where
        F: AsyncFn(Request) -> R + 'static,
        R: IntoResponse,
    {
        self.any = Some(handler(answer));
        self
    }

    /// Puts a layer around this path's handlers. Of several the first is the outermost.
    pub fn layer<F, R>(mut self, around: F) -> Self
    where
        F: AsyncFn(Request, Next) -> R + 'static,
        R: IntoResponse,
    {
        self.layers.push(layer(around));
        self
    }

    fn put_handler(&mut self, method: Method, handler: Handler) {
        self.handlers.retain(|(other, _)| *other != method);
        self.handlers.push((method, handler));
    }

    /// Puts the layers around the handlers there are.
    pub(crate) fn bake(&mut self) {
        if self.layers.is_empty() {
            return;
        }
        let layers: Rc<[Layer]> = std::mem::take(&mut self.layers).into();
        for handler in self.handlers.iter_mut().map(|(_, handler)| handler).chain(&mut self.any) {
            let (layers, inner) = (Rc::clone(&layers), Rc::clone(handler));
            *handler = Rc::new(move |request| {
                Next::new(Rc::clone(&layers), Rc::clone(&inner)).go(request)
            });
        }
    }

    /// Adds what another declaration of the same path has. The layers of one are not around the other.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.bake();
        other.bake();
        for (method, handler) in other.handlers {
            self.put_handler(method, handler);
        }
        self.any = other.any.or(self.any.take());
    }

    /// Who answers this method.
    pub(crate) fn handler_of(&self, method: &Method) -> Option<&Handler> {
        let of = |wanted: &Method| {
            self.handlers.iter().find(|(other, _)| other == wanted).map(|(_, handler)| handler)
        };
        let get = || (*method == Method::HEAD).then(|| of(&Method::GET)).flatten();
        of(method).or_else(get).or(self.any.as_ref())
    }

    /// The methods that are answered.
    pub(crate) fn allowed(&self) -> Vec<Method> {
        let mut methods: Vec<_> = self.handlers.iter().map(|(method, _)| method.clone()).collect();
        if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
            methods.push(Method::HEAD);
        }
        methods
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{now, request};

    fn answered(route: &Route, method: &str) -> Option<String> {
        let request = request(method, "/");
        let handler = route.handler_of(request.method())?;
        let mut response = now(handler(request)).unwrap();
        let body = now(response.body_mut().bytes()).unwrap();
        Some(String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn a_method_finds_its_handler_or_that_for_all() {
        let route = Route::new().get(async |_| "get").get(async |_| "later").post(async |_| "post");
        assert_eq!(answered(&route, "GET").as_deref(), Some("later"));
        assert_eq!(answered(&route, "HEAD").as_deref(), Some("later"));
        assert_eq!(answered(&route, "PUT"), None);
        assert_eq!(route.allowed(), [Method::GET, Method::POST, Method::HEAD]);
        let route = route.all(async |_| "all").head(async |_| "head");
        assert_eq!(answered(&route, "HEAD").as_deref(), Some("head"));
        assert_eq!(answered(&route, "PURGE").as_deref(), Some("all"));
    }

    #[test]
    fn layers_stay_with_the_declaration_they_are_of() {
        let around = |mark: &'static str| {
            async move |request: Request, next: Next| {
                let mut response = next.run(request).await?;
                let inner = response.body_mut().bytes().await?;
                Ok::<_, crate::Failure>(format!("{mark}{}", String::from_utf8_lossy(&inner)))
            }
        };
        let mut route = Route::new().get(async |_| "get").layer(around("a")).layer(around("b"));
        route.join(Route::new().post(async |_| "post").layer(around("c")));
        route.bake();
        assert_eq!(answered(&route, "GET").as_deref(), Some("abget"));
        assert_eq!(answered(&route, "POST").as_deref(), Some("cpost"));
    }
}
