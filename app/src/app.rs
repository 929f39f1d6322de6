//! What people declare: an application of namespaces and of HTTP, and applications mounted in it.

use std::rc::Rc;

use crate::engine::Engine;
use crate::hooks::Hooks;
use crate::http::{Dispatch, Failure, Files, IntoResponse, Next, Prefix, Request, Route, Router};
use crate::namespace::Namespace;
use crate::pattern::Pattern;

/// An application as one core runs it. The factory that makes it runs once per core, so whatever its
/// handlers share in an `Rc` is **per core**; what all cores must see goes through rooms.
///
/// It is a set of [namespaces](Self::namespace) and a [`Router`], whose methods it has too. An application
/// of several parts makes each of them an `App` and [mounts](Self::mount) it.
#[derive(Default)]
pub struct App {
    pub(crate) namespaces: Vec<(String, Namespace)>,
    pub(crate) patterns: Vec<Pattern>,
    router: Router,
    /// Whom to tell where it ended up, relative to this app.
    on_mount: Vec<(String, OnMount)>,
    pub(crate) hooks: Hooks,
    pub(crate) engine: Engine,
}

/// An application that knows where it is.
pub(crate) struct Settled {
    pub(crate) namespaces: Vec<(String, Namespace)>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) site: Rc<Dispatch>,
    pub(crate) hooks: Hooks,
    pub(crate) engine: Engine,
}

type OnMount = Box<dyn FnOnce(&str)>;

impl App {
    /// An application with nothing in it. Where it is not mounted in another, its main namespace admits
    /// everybody until there is one declared.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves a namespace under its name; a missing `/` in front is added. The last one of a name counts.
    /// A client that asks for a name that is not here, and that no pattern takes
    /// ([`App::namespace_matching`]), gets `connect_error` "Invalid namespace".
    pub fn namespace(mut self, name: &str, namespace: Namespace) -> Self {
        let name = with_slash(name);
        match self.namespaces.iter_mut().find(|(other, _)| *other == name) {
            Some(known) => known.1 = namespace,
            None => self.namespaces.push((name, namespace)),
        }
        self
    }

    /// Makes another application part of this one, at a path: Express's `app.use(path, app)`, with its
    /// sockets.
    ///
    /// Its routes answer below the path and see only what comes behind it, as in [`Router::nest`]; its
    /// layers, its error handler and its not-found are its own. Its namespaces have the path before their
    /// names: `/` of an app mounted at `/chat` is `/chat`, and `/news` is `/chat/news`. Mounted apps may
    /// mount others, and bring their hooks. What a request knows of it is [`RequestExt::base_url`](crate::RequestExt::base_url);
    /// the app itself is told by [`Self::on_mount`].
    ///
    /// ```
    /// use yamabiko::{App, Failure, Namespace, Next, Request, RequestExt, http::StatusCode};
    ///
    /// fn chat() -> App {
    ///     App::new().namespace("/", Namespace::new()).get("/recent", async |_| "nothing yet")
    /// }
    ///
    /// let admins_only = async |request: Request, next: Next| match request.header("x-admin") {
    ///     Some("yes") => next.run(request).await,
    ///     _ => Err(Failure::from(StatusCode::FORBIDDEN)),
    /// };
    /// App::new()
    ///     .mount("/chat", chat()) // GET /chat/recent, and namespace /chat
    ///     .mount("/admin", App::new().layer(admins_only).mount("/chat", chat()));
    /// ```
    ///
    /// # Panics
    /// The path has a parameter or an empty segment, or a namespace of that name is here already.
    #[track_caller]
    pub fn mount(mut self, path: &str, app: App) -> Self {
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { with_slash(path) };
        let is_fixed = Prefix::new(&path).fixed().is_some();
        assert!(is_fixed, "'{path}' has a parameter, but namespaces need a name");
        for (name, namespace) in app.namespaces {
            let name = below(&path, &name);
            let is_taken = self.namespaces.iter().any(|(other, _)| *other == name);
            assert!(
                !is_taken,
                "the namespace '{name}' of the app mounted at '{path}' is here already"
            );
            self.namespaces.push((name, namespace));
        }
        self.patterns.extend(app.patterns.into_iter().map(|pattern| pattern.below(&path)));
        let on_mount = app.on_mount.into_iter().map(|(inner, call)| (below(&path, &inner), call));
        self.on_mount.extend(on_mount);
        self.hooks.take_in(app.hooks);
        self.engine.take_in(app.engine);
        self.router = self.router.nest(&path, app.router);
        self
    }

    /// Called once with the path at which the app ended up, from the root on: `/` if it is mounted
    /// nowhere. It is also the full name of its main namespace.
    pub fn on_mount(mut self, call: impl FnOnce(&str) + 'static) -> Self {
        self.on_mount.push(("/".into(), Box::new(call)));
        self
    }

    /// Tells everybody where they are, and gives the parts as they run.
    pub(crate) fn settle(mut self) -> Settled {
        for (path, call) in std::mem::take(&mut self.on_mount) {
            call(&path);
        }
        if !self.namespaces.iter().any(|(name, _)| name == "/") {
            self.namespaces.insert(0, ("/".into(), Namespace::new()));
        }
        let Self { namespaces, patterns, hooks, engine, router, .. } = self;
        Settled { namespaces, patterns, site: router.into_dispatch(), hooks, engine }
    }

    fn routed(mut self, change: impl FnOnce(Router) -> Router) -> Self {
        self.router = change(self.router);
        self
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// HTTP, as with [`Router`]. Requests for Socket.IO's own path never come here.
        impl App {
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
                self.routed(|router| router.$name(path, answer))
            })*
        }
    };
}

methods!(
    /// Answers GET, and HEAD, of a path.
    get,
    /// Answers POST of a path.
    post,
    /// Answers PUT of a path.
    put,
    /// Answers DELETE of a path.
    delete,
    /// Answers PATCH of a path.
    patch,
    /// Answers HEAD of a path. A body is not sent.
    head,
    /// Answers OPTIONS of a path, which else is answered with the methods there are.
    options,
    /// Answers every method of a path that has no handler of its own.
    all,
);

/// HTTP, as with [`Router`], whose documentation tells the order of things.
impl App {
    /// Answers a path as the route says: [`Router::route`].
    ///
    /// # Panics
    /// The path is none.
    #[track_caller]
    pub fn route(self, path: &str, route: Route) -> Self {
        self.routed(|router| router.route(path, route))
    }

    /// Lets a router take the paths below a prefix: [`Router::nest`].
    ///
    /// # Panics
    /// The prefix is none.
    #[track_caller]
    pub fn nest(self, prefix: &str, router: Router) -> Self {
        self.routed(|outer| outer.nest(prefix, router))
    }

    /// Serves the files of a directory below a prefix: [`Router::files`].
    ///
    /// # Panics
    /// The prefix is none.
    #[track_caller]
    pub fn files(self, prefix: &str, files: Files) -> Self {
        self.routed(|router| router.files(prefix, files))
    }

    /// Lets a `tower::Service` take the paths below a prefix: [`Router::service`].
    ///
    /// # Panics
    /// The prefix is none.
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
        self.routed(|router| router.service(prefix, service))
    }

    /// Puts a layer around all HTTP of this app, that of mounted apps too: [`Router::layer`].
    pub fn layer<F, R>(self, around: F) -> Self
    where
        F: AsyncFn(Request, Next) -> R + 'static,
        R: IntoResponse,
    {
        self.routed(|router| router.layer(around))
    }

    /// Answers what nothing here has a route for: [`Router::not_found`].
    pub fn not_found<F, R>(self, answer: F) -> Self
    where
        F: AsyncFn(Request) -> R + 'static,
        R: IntoResponse,
    {
        self.routed(|router| router.not_found(answer))
    }

    /// Makes the answer when a handler or layer here failed: [`Router::on_error`].
    pub fn on_error<F, R>(self, answer: F) -> Self
    where
        F: AsyncFn(Failure, Request) -> R + 'static,
        R: IntoResponse,
    {
        self.routed(|router| router.on_error(answer))
    }

    /// Allows bodies of requests here so many bytes: [`Router::body_limit`].
    pub fn body_limit(self, bytes: u64) -> Self {
        self.routed(|router| router.body_limit(bytes))
    }
}

/// A name as it is asked for.
pub(crate) fn with_slash(name: &str) -> String {
    if name.starts_with('/') { name.into() } else { format!("/{name}") }
}

/// A name of a mounted app as its surroundings know it.
fn below(path: &str, name: &str) -> String {
    match name {
        "/" if !path.is_empty() => path.into(),
        name => format!("{path}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn names(app: App) -> Vec<String> {
        app.settle().namespaces.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_last_namespace_of_a_name_counts_and_the_main_one_is_always_there() {
        let named = Namespace::new().on_any(|_, _| ());
        let app = App::new().namespace("chat", Namespace::new()).namespace("/chat", named);
        assert_eq!(app.namespaces[0].1.on_any.len(), 1);
        assert_eq!(names(app), ["/", "/chat"]);
        assert_eq!(names(App::new().namespace("/", Namespace::new())), ["/"]);
    }

    #[test]
    fn mounted_namespaces_have_the_path_before_their_names() {
        let chat =
            || App::new().namespace("/", Namespace::new()).namespace("news", Namespace::new());
        let app = App::new()
            .mount("/chat", chat())
            .mount("admin/", App::new().mount("/chat", chat()))
            .mount("/quiet", App::new());
        let expected = ["/", "/chat", "/chat/news", "/admin/chat", "/admin/chat/news"];
        assert_eq!(names(app), expected);
        assert_eq!(names(App::new().mount("/", chat())), ["/", "/news"]);
    }

    #[test]
    fn an_app_learns_where_it_is() {
        let places = Rc::new(RefCell::new(Vec::new()));
        let part = || {
            let places = Rc::clone(&places);
            App::new().on_mount(move |path| places.borrow_mut().push(path.to_owned()))
        };
        part().mount("/a", part().mount("/b", part())).mount("/", part()).settle();
        assert_eq!(*places.borrow(), ["/", "/a", "/a/b", "/"]);
    }

    #[test]
    #[should_panic(expected = "is here already")]
    fn two_parts_cannot_have_one_namespace() {
        let part = || App::new().namespace("/", Namespace::new());
        let _ = App::new().mount("/a", part()).mount("/a", part());
    }

    #[test]
    #[should_panic(expected = "namespaces need a name")]
    fn an_app_is_mounted_at_a_fixed_path() {
        let _ = App::new().mount("/of/{who}", App::new());
    }
}
