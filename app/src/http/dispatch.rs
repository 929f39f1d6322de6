//! The way of a request through a router: layers, then the first that has something for it.

use std::rc::Rc;

use ::http::{Method, StatusCode, header};

use super::body::Body;
use super::failure::{Failure, allow};
use super::files::Files;
use super::handler::{Answering, ErrorHandler, Handler, Layer};
use super::layer::Next;
use super::origin::{Origin, Param, param};
use super::prefix::Prefix;
use super::route::Route;
use super::{Request, Response};

/// A router as requests go through it.
pub(crate) struct Dispatch {
    /// Paths to the places of their routes.
    pub(crate) paths: matchit::Router<usize>,
    pub(crate) routes: Vec<Route>,
    /// The longest prefix first.
    pub(crate) parts: Vec<(Prefix, Part)>,
    pub(crate) layers: Rc<[Layer]>,
    pub(crate) not_found: Option<Handler>,
    pub(crate) on_error: Option<ErrorHandler>,
    pub(crate) body_limit: Option<u64>,
}

/// What takes all paths below a prefix.
pub(crate) enum Part {
    Router(Rc<Dispatch>),
    Files(Files),
    Service(Handler),
}

impl Dispatch {
    /// Answers a request, or gives it back in a failure if there is nothing for it.
    pub(crate) fn answer(self: &Rc<Self>, mut request: Request) -> Answering {
        if let Some(limit) = self.body_limit {
            request.body_mut().set_limit(limit);
        }
        let inner = Rc::clone(self);
        let inner: Handler = Rc::new(move |request| {
            let inner = Rc::clone(&inner);
            Box::pin(async move { inner.look(request).await })
        });
        let next = Next::new(Rc::clone(&self.layers), inner);
        let Some(on_error) = self.on_error.clone() else { return next.go(request) };
        let spare = without_body(&request);
        Box::pin(async move {
            match next.go(request).await {
                Err(failure) if !failure.is_unmatched() => on_error(failure, spare).await,
                outcome => outcome,
            }
        })
    }

    /// What lies within the layers.
    async fn look(&self, mut request: Request) -> Result<Response, Failure> {
        let mut allowed = Vec::new();
        if let Some((route, params)) = self.route_of(request.uri().path()) {
            match route.handler_of(request.method()) {
                Some(handler) => {
                    Origin::keep(&mut request, params);
                    return handler(request).await;
                }
                None => allowed = route.allowed(),
            }
        }
        for (prefix, part) in &self.parts {
            let Some(used) = prefix.of(request.uri().path()) else { continue };
            let mark = Origin::enter(&mut request, used.bytes, used.params);
            match part.answer(request).await {
                Err(mut failure) if failure.is_unmatched() => match failure.take_unmatched() {
                    Some(back) => request = back,
                    // A layer has used it up.
                    None => return Err(failure),
                },
                outcome => return outcome,
            }
            Origin::leave(&mut request, mark);
        }
        match &self.not_found {
            _ if !allowed.is_empty() => methods_there_are(request.method(), &allowed),
            Some(not_found) => not_found(request).await,
            None => Err(Failure::unmatched(request)),
        }
    }

    fn route_of(&self, path: &str) -> Option<(&Route, Vec<Param>)> {
        let at = |path| self.paths.at(path).ok();
        let without_slash = || at(path.strip_suffix('/').filter(|path| !path.is_empty())?);
        let found = at(path).or_else(without_slash)?;
        let params = found.params.iter().map(|(name, value)| param(name, value)).collect();
        Some((&self.routes[*found.value], params))
    }
}

impl Part {
    fn answer(&self, request: Request) -> Answering {
        match self {
            Part::Router(router) => router.answer(request),
            Part::Files(files) => files.answer(request),
            Part::Service(handler) => handler(request),
        }
    }
}

/// The answer where a path has routes, but none for the method.
fn methods_there_are(method: &Method, allowed: &[Method]) -> Result<Response, Failure> {
    if *method != Method::OPTIONS {
        return Err(Failure::method_not_allowed(allowed));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, allow(allowed));
    Ok(response)
}

/// A request for whoever makes the best of a failure; its body may be half read.
fn without_body(request: &Request) -> Request {
    let mut copy = Request::new(request.body().hollow());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request_ext::RequestExt;
    use crate::http::router::Router;
    use crate::http::testing::{now, request};

    /// Status and body.
    fn ask(router: Router, method: &str, target: &str) -> (u16, String) {
        let (status, _, body) = ask_for_headers(router, method, target);
        (status, body)
    }

    fn ask_for_headers(router: Router, method: &str, target: &str) -> (u16, String, String) {
        let outcome = now(router.into_dispatch().answer(request(method, target)));
        let mut response = outcome.unwrap_or_else(Failure::into_plain_response);
        let body = now(response.body_mut().bytes()).unwrap();
        let allow = response.headers().get("allow").map(|it| it.to_str().unwrap().to_owned());
        let body = String::from_utf8(body.to_vec()).unwrap();
        (response.status().as_u16(), allow.unwrap_or_default(), body)
    }

    async fn whereabouts(request: Request) -> String {
        let params: Vec<_> =
            request.params().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}|{}|{}", request.base_url(), request.uri().path(), params.join(","))
    }

    fn ok(body: &str) -> (u16, String) {
        (200, body.into())
    }

    #[test]
    fn paths_find_their_routes() {
        let router = || {
            Router::new()
                .get("/", whereabouts)
                .get("/users/me", async |_| "me")
                .get("/users/{id}", whereabouts)
                .get("/files/{*rest}", whereabouts)
                .get("/images/img-{id}.png", whereabouts)
                .get("/café", async |_| "café")
        };
        for (target, expected) in [
            ("/", ok("|/|")),
            ("/?a=b", ok("|/|")),
            ("/users/me", ok("me")),
            ("/users/me/", ok("me")),
            ("/users/%6De", ok("me")),
            ("/users/7", ok("|/users/7|id=7")),
            ("/users/a%2Fb%20c", ok("|/users/a%2Fb%20c|id=a/b c")),
            ("/files/a/b.txt", ok("|/files/a/b.txt|rest=a/b.txt")),
            ("/images/img-3.png", ok("|/images/img-3.png|id=3")),
            ("/caf%c3%a9", ok("café")),
            ("/users", (404, "Not Found".into())),
            ("/Users/me", (404, "Not Found".into())),
            ("//users/me", (404, "Not Found".into())),
        ] {
            assert_eq!(ask(router(), "GET", target), expected, "{target}");
        }
    }

    #[test]
    fn a_method_without_handler_is_told_what_there_is() {
        let router = || Router::new().get("/a", async |_| "a").post("/a", async |_| "b");
        assert_eq!(ask(router(), "HEAD", "/a"), ok("a"));
        assert_eq!(
            ask_for_headers(router(), "PUT", "/a"),
            (405, "GET, POST, HEAD".into(), "Method Not Allowed".into())
        );
        assert_eq!(
            ask_for_headers(router(), "OPTIONS", "/a"),
            (204, "GET, POST, HEAD".into(), String::new())
        );
        let router = router().not_found(async |_| "nothing");
        assert_eq!(ask(router, "PUT", "/a").0, 405);
    }

    #[test]
    fn parts_see_their_own_path() {
        let inner = || Router::new().get("/", whereabouts).get("/x/{b}", whereabouts);
        let router = || {
            Router::new()
                .nest("/deep", Router::new().nest("/er/{a}", inner()))
                .nest("/deep/er/special", Router::new().get("/", whereabouts))
                .get("/deep/er/route", whereabouts)
        };
        for (target, expected) in [
            ("/deep/er/1", ok("/deep/er/1|/|a=1")),
            ("/deep/er/1/", ok("/deep/er/1|/|a=1")),
            ("/deep/er/1/x/2", ok("/deep/er/1|/x/2|a=1,b=2")),
            ("/deep/er/route", ok("|/deep/er/route|")),
            ("/deep/er/special", ok("/deep/er/special|/|")),
            // The closest part has nothing for it, so the next one is asked, from the start.
            ("/deep/er/special/x/2", ok("/deep/er/special|/x/2|a=special,b=2")),
            ("/deep/er", (404, "Not Found".into())),
            ("/deeper/1", (404, "Not Found".into())),
        ] {
            assert_eq!(ask(router(), "GET", target), expected, "{target}");
        }
    }

    fn mark(mark: &'static str) -> impl AsyncFn(Request, Next) -> Result<String, Failure> {
        async move |request, next| {
            let mut response = next.run(request).await?;
            let inner = response.body_mut().bytes().await?;
            Ok(format!("{mark}({})", String::from_utf8_lossy(&inner)))
        }
    }

    #[test]
    fn layers_lie_around_all_of_their_router_in_their_order() {
        let router = || {
            let inner = Router::new().get("/in", async |_| "in").layer(mark("c"));
            Router::new()
                .layer(mark("a"))
                .get("/out", async |_| "out")
                .nest("/sub", inner)
                .layer(mark("b"))
                .not_found(async |_| "nothing")
        };
        assert_eq!(ask(router(), "GET", "/out"), ok("a(b(out))"));
        assert_eq!(ask(router(), "GET", "/sub/in"), ok("a(b(c(in)))"));
        assert_eq!(ask(router(), "GET", "/sub/other"), ok("a(b(nothing))"));
        let closed = router().layer(async |_, _| StatusCode::FORBIDDEN);
        assert_eq!(ask(closed, "GET", "/sub/in"), ok("a(b(Forbidden))"));
    }

    #[test]
    fn a_layer_may_keep_something_for_the_handler() {
        #[derive(Clone)]
        struct User(&'static str);
        let router = Router::new()
            .layer(async |mut request: Request, next: Next| {
                request.extensions_mut().insert(User("ann"));
                next.run(request).await
            })
            .get("/", async |request| request.extensions().get::<User>().unwrap().0);
        assert_eq!(ask(router, "GET", "/"), ok("ann"));
    }

    async fn fails(_: Request) -> Result<(), Failure> {
        Err(Failure::new(StatusCode::CONFLICT, "inside"))
    }

    #[test]
    fn failures_go_to_the_innermost_error_handler_and_on_from_there() {
        let handled = |name: &'static str| {
            async move |failure: Failure, request: Request| {
                format!("{name}: {} at {}", failure.message(), request.uri().path())
            }
        };
        let router = || {
            let own = Router::new().get("/", fails).on_error(handled("own"));
            let passes = Router::new().get("/", fails).on_error(async |failure, _| failure);
            Router::new()
                .nest("/own", own)
                .nest("/none", Router::new().get("/", fails))
                .nest("/passes", passes)
                .on_error(handled("outer"))
        };
        assert_eq!(ask(router(), "GET", "/own"), ok("own: inside at /"));
        assert_eq!(ask(router(), "GET", "/none"), ok("outer: inside at /none"));
        assert_eq!(ask(router(), "GET", "/passes"), ok("outer: inside at /passes"));
        assert_eq!(ask(router(), "POST", "/own").1, "own: Method Not Allowed at /");
        assert_eq!(ask(router(), "GET", "/else"), (404, "Not Found".into()));
        let plain = Router::new().get("/", fails);
        assert_eq!(ask(plain, "GET", "/"), (409, "inside".into()));
    }

    #[test]
    fn the_innermost_not_found_is_asked() {
        let router = || {
            let own = Router::new().get("/a", whereabouts).not_found(async |_| "own");
            Router::new()
                .nest("/own", own)
                .nest("/none", Router::new().get("/a", whereabouts))
                .not_found(whereabouts)
        };
        assert_eq!(ask(router(), "GET", "/own/b"), ok("own"));
        assert_eq!(ask(router(), "GET", "/none/b"), ok("|/none/b|"));
        assert_eq!(ask(router(), "GET", "/b"), ok("|/b|"));
    }
}
