//! Routes, layers and parts as they are declared.

use std::collections::HashMap;
use std::rc::Rc;

use ::http::Method;

use super::Request;
use super::dispatch::{Dispatch, Part};
use super::failure::Failure;
use super::files::Files;
use super::handler::{ErrorHandler, Handler, Layer, error_handler, handler, layer};
use super::into_response::IntoResponse;
use super::layer::Next;
use super::path::declared;
use super::prefix::Prefix;
use super::route::Route;

/// HTTP routes, the layers around them, and further routers below them: Express's `Router`.
///
/// # Paths
/// `{name}` in a path takes one segment, `{*name}` at its end the rest; both may stand beside fixed text in
/// their segment. A fixed text is preferred to a parameter. A path with a slash at its end is the same as the
/// one without. Matching minds the case, and takes escapes of letters, digits and `-._~` for what they mean;
/// paths that climb (`..`, however it is written), that have a NUL, a broken escape, or one that is not
/// UTF-8, are answered with 400 before anything is asked.
///
/// # Order
/// A request goes through the router's [layers](Self::layer), in the order of their declaration, whether
/// they stand before the routes or behind them. Then whoever comes first answers:
///
/// 1. the [route](Self::route) of its path and method,
/// 2. the part [nested](Self::nest), mounted or [served](Self::files) at the longest prefix of its path, if
///    that part has something for it; then the next shorter one,
/// 3. if there is a route for its path, but not for its method: 405, or for OPTIONS 204, with `Allow`,
/// 4. [`Self::not_found`], if there is one; else the router around this one goes on looking, and at last
///    it is 404.
///
/// ```
/// use yamabiko::{App, Failure, RequestExt, Router, http::StatusCode};
///
/// fn rooms() -> Router {
///     Router::new()
///         .get("/", async |_| "all rooms")
///         .get("/{room}", async |request| -> Result<String, Failure> { request.param("room") })
///         .not_found(async |_| (StatusCode::NOT_FOUND, "no such thing in rooms"))
/// }
///
/// App::new().nest("/rooms", rooms());
/// ```
#[derive(Default)]
pub struct Router {
    routes: HashMap<String, Route>,
    parts: Vec<(Prefix, Below)>,
    layers: Vec<Layer>,
    not_found: Option<Handler>,
    on_error: Option<ErrorHandler>,
    body_limit: Option<u64>,
}

/// What takes all paths below a prefix.
enum Below {
    Router(Router),
    Files(Files),
    #[cfg_attr(not(feature = "tower"), allow(dead_code))]
    Service(Handler),
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident => $method:ident),* $(,)?) => {
        impl Router {
            $($(#[$doc])*
            ///
            /// # Panics
            /// As [`Self::route`].
            #[track_caller]
            pub fn $name<F, R>(self, path: &str, answer: F) -> Self
            where
                F: AsyncFn(Request) -> R + 'static,
                R: IntoResponse,
            {
                self.route(path, Route::new().on(Method::$method, answer))
            })*
        }
    };
}

methods!(
    /// Answers GET, and HEAD, of a path.
    get => GET,
    /// Answers POST of a path.
    post => POST,
    /// Answers PUT of a path.
    put => PUT,
    /// Answers DELETE of a path.
    delete => DELETE,
    /// Answers PATCH of a path.
    patch => PATCH,
    /// Answers HEAD of a path. A body is not sent.
    head => HEAD,
    /// Answers OPTIONS of a path, which else is answered with the methods there are.
    options => OPTIONS,
);

impl Router {
    /// A router without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a path as the route says. Declared again, a path gets the handlers of both; for the same
    /// method the later counts.
    ///
    /// # Panics
    /// The path is none: two parameters in one segment, a wildcard before the end, Express's `:name`, or one
    /// that takes the same paths as another under other names.
    #[track_caller]
    pub fn route(mut self, path: &str, route: Route) -> Self {
        let path = declared(path);
        let has_colon = path.split('/').any(|segment| segment.starts_with([':', '*']));
        assert!(!has_colon, "'{path}': parameters are written {{name}}, wildcards {{*name}}");
        if let Some(known) = self.routes.get_mut(&path) {
            known.join(route);
            return self;
        }
        let mut all = matchit::Router::new();
        for known in self.routes.keys().chain([&path]) {
            if let Err(error) = all.insert(known.as_str(), ()) {
                panic!("'{path}' cannot be a route: {error}");
            }
        }
        self.routes.insert(path, route);
        self
    }

    /// Answers every method of a path that has no handler of its own.
    ///
    /// # Panics
    /// As [`Self::route`].
    #[track_caller]
    pub fn all<F, R>(self, path: &str, answer: F) -> Self
    where
        F: AsyncFn(Request) -> R + 'static,
        R: IntoResponse,
    {
        self.route(path, Route::new().all(answer))
    }

    /// Puts a layer around everything here: routes, parts, and what is not found. Express's `use`, but the
    /// place of the declaration does not matter. Of several the first is the outermost.
    pub fn layer<F, R>(mut self, around: F) -> Self
    where
        F: AsyncFn(Request, Next) -> R + 'static,
        R: IntoResponse,
    {
        self.layers.push(layer(around));
        self
    }

    /// Lets a router take the paths below a prefix, which may have `{name}` for a segment. It sees the rest
    /// of the path as its own.
    ///
    /// # Panics
    /// The prefix is none: an empty segment, a wildcard, or Express's `:name`.
    #[track_caller]
    pub fn nest(self, prefix: &str, router: Self) -> Self {
        self.below(prefix, Below::Router(router))
    }

    /// Serves the files of a directory below a prefix: Express's `express.static`. What is not there is for
    /// others to answer.
    ///
    /// # Panics
    /// As [`Self::nest`].
    #[track_caller]
    pub fn files(self, prefix: &str, files: Files) -> Self {
        self.below(prefix, Below::Files(files))
    }

    /// Lets a `tower::Service` take the paths below a prefix: an `axum::Router`, for one. It sees the rest of
    /// the path as its own, and whatever it answers is the answer. See [`service`](crate::http::service).
    ///
    /// # Panics
    /// As [`Self::nest`].
    #[cfg(feature = "tower")]
    #[track_caller]
    pub fn service<S, B>(self, prefix: &str, service: S) -> Self
    where
        S: tower_service::Service<
                ::http::Request<crate::http::service::ServiceBody>,
                Response = ::http::Response<B>,
            > + Clone
            + 'static,
        S::Error: Into<Box<dyn std::error::Error>>,
        B: http_body::Body<Error: Into<Box<dyn std::error::Error>>> + 'static,
    {
        self.below(prefix, Below::Service(crate::http::service::handler(service)))
    }

    #[track_caller]
    fn below(mut self, prefix: &str, below: Below) -> Self {
        self.parts.push((Prefix::new(prefix), below));
        self
    }

    /// Answers what nothing here has a route for.
    pub fn not_found<F, R>(mut self, answer: F) -> Self
    where
        F: AsyncFn(Request) -> R + 'static,
        R: IntoResponse,
    {
        self.not_found = Some(handler(answer));
        self
    }

    /// Makes the answer when a handler or layer here failed. It gets the failure and the request as it came
    /// to this router, without its body. It may fail as well: then the router around this one is asked.
    ///
    /// ```
    /// use yamabiko::{App, Json, Failure, http::StatusCode};
    ///
    /// App::new()
    ///     .get("/", async |_| Err::<(), Failure>(StatusCode::PAYMENT_REQUIRED.into()))
    ///     .on_error(async |failure, _| (failure.status(), Json(failure.message().to_owned())));
    /// ```
    pub fn on_error<F, R>(mut self, answer: F) -> Self
    where
        F: AsyncFn(Failure, Request) -> R + 'static,
        R: IntoResponse,
    {
        self.on_error = Some(error_handler(answer));
        self
    }

    /// Allows bodies of requests here so many bytes, instead of the option `max-http-buffer-size`. The
    /// innermost router that says something counts, and a handler may say something else
    /// ([`Body::set_limit`](crate::Body::set_limit)).
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// The router as requests go through it.
    pub(crate) fn into_dispatch(self) -> Rc<Dispatch> {
        let mut paths = matchit::Router::new();
        let mut routes = Vec::new();
        for (path, mut route) in self.routes {
            route.bake();
            paths.insert(path, routes.len()).expect("`route` has tried it");
            routes.push(route);
        }
        let mut parts: Vec<_> = self.parts;
        // A stable sort: of two at one place the first declared is asked first.
        parts.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let part = |below| match below {
            Below::Router(router) => Part::Router(router.into_dispatch()),
            Below::Files(files) => Part::Files(files),
            Below::Service(handler) => Part::Service(handler),
        };
        Rc::new(Dispatch {
            paths,
            routes,
            parts: parts.into_iter().map(|(prefix, below)| (prefix, part(below))).collect(),
            layers: self.layers.into(),
            not_found: self.not_found,
            on_error: self.on_error,
            body_limit: self.body_limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "parameters are written {name}")]
    fn expresss_parameters_are_refused() {
        let _ = Router::new().get("/users/:id", async |_| ());
    }

    #[test]
    #[should_panic(expected = "cannot be a route")]
    fn one_path_under_two_names_is_refused() {
        let _ = Router::new().get("/a/{b}", async |_| ()).get("/a/{c}", async |_| ());
    }

    #[test]
    #[should_panic(expected = "cannot be a route")]
    fn a_wildcard_is_the_end() {
        let _ = Router::new().get("/{*a}/b", async |_| ());
    }
}
