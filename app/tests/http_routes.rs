//! Routers, layers and mounted applications over the wire, with a real HTTP client and with raw bytes.

#![allow(clippy::unwrap_used)]

mod harness;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::OnceLock;

use harness::{Inside, WebSocket, Wire, get};
use serde::{Deserialize, Serialize};
use yamabiko::http::{StatusCode, header};
use yamabiko::{
    App, Config, Core, Failure, Html, Json, Namespace, Next, Redirect, Reject, Request, RequestExt,
    Response, Route, Router, Socket, compression,
};

fn server() -> &'static Inside {
    static SERVER: OnceLock<Inside> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(1);
        Inside::serve(config, site)
    })
}

fn url(path: &str) -> String {
    format!("http://{}{path}", server().address())
}

fn ask(target: &str) -> (u16, String) {
    let response = Wire::open(server().address()).ask(get(target, ""));
    (response.status, response.body)
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
struct Thing {
    name: String,
    #[serde(default)]
    tags: Vec<String>,
}

/// An API that keeps its things in an `Rc`, without a lock.
fn things() -> Router {
    let things: Rc<RefCell<HashMap<u32, Thing>>> = Rc::default();
    let next = Rc::new(Cell::new(1));
    let (all, made) = (Rc::clone(&things), Rc::clone(&things));
    let (one, put, gone) = (Rc::clone(&things), Rc::clone(&things), things);
    let missing = || Failure::new(StatusCode::NOT_FOUND, "no such thing");
    let thing = Route::new()
        .get(async move |request| {
            let id = request.param("id")?;
            one.borrow().get(&id).cloned().map(Json).ok_or_else(missing)
        })
        .put(async move |mut request: Request| -> Result<_, Failure> {
            let (id, thing) = (request.param("id")?, request.json().await?);
            Ok(match put.borrow_mut().insert(id, thing) {
                Some(_) => StatusCode::NO_CONTENT,
                None => StatusCode::CREATED,
            })
        })
        .delete(async move |request| {
            let id = request.param("id")?;
            gone.borrow_mut().remove(&id).map(drop).ok_or_else(missing)
        });
    Router::new()
        .get("/", async move |_| {
            let mut names: Vec<_> = all.borrow().values().map(|thing| thing.name.clone()).collect();
            names.sort();
            Json(names)
        })
        .post("/", async move |mut request| -> Result<_, Failure> {
            let id = next.replace(next.get() + 1);
            let thing: Thing = match request.header("content-type") {
                Some("application/x-www-form-urlencoded") => request.form().await?,
                _ => request.json().await?,
            };
            made.borrow_mut().insert(id, thing);
            let place = format!("{}/{id}", request.base_url());
            Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(id)))
        })
        .route("/{id}", thing)
}

async fn signed_in(mut request: Request, next: Next) -> Result<Response, Failure> {
    let Some(user) = request.header("x-user").map(str::to_owned) else {
        return Err(Failure::from(StatusCode::UNAUTHORIZED)
            .with_header(header::WWW_AUTHENTICATE, "X-User".parse().unwrap()));
    };
    request.extensions_mut().insert(User(user));
    next.run(request).await
}

#[derive(Clone)]
struct User(String);

/// A part with everything of its own. It does not know where it is.
fn part(core: Core) -> App {
    let place: Rc<RefCell<String>> = Rc::default();
    let told = Rc::clone(&place);
    let namespace = Namespace::new()
        .on("where", |socket: Socket| -> Result<String, Reject> { Ok(socket.id().to_owned()) })
        .on_connect(async |socket: Socket| {
            let _ = socket.join("readers");
        });
    App::new()
        .namespace("/", namespace)
        .namespace("/news", Namespace::new())
        .on_mount(move |path| *told.borrow_mut() = path.to_owned())
        .get("/", async |request| {
            format!("{}|{}|{}", request.base_url(), request.uri(), request.original_url())
        })
        .post("/ring", async move |_| {
            let everyone = core.of(&place.borrow()).ok_or("it is not there");
            let everyone = everyone.map_err(|error| Failure::new(StatusCode::NOT_FOUND, error))?;
            everyone.to("readers").emit("bell", &1)?;
            Ok::<_, Failure>(())
        })
        .get("/fails", async |_| Err::<(), _>(Failure::new(StatusCode::CONFLICT, "as asked")))
        .on_error(async |failure, request| {
            let status = failure.status();
            (status, format!("part at {:?}: {}", request.base_url(), failure.message()))
        })
        .not_found(async |request| {
            (StatusCode::NOT_FOUND, format!("part has no {}", request.uri().path()))
        })
}

fn site(core: Core) -> App {
    let counted = Rc::new(Cell::new(0));
    App::new()
        .layer(compression())
        .layer(async move |request, next| {
            counted.set(counted.get() + 1);
            let mut response = next.run(request).await?;
            response.headers_mut().insert("x-count", counted.get().into());
            Ok::<_, Failure>(response)
        })
        .nest("/api/things", things())
        .nest(
            "/deep/{a}",
            Router::new().get("/{b}/{*rest}", async |request| {
                request.params().map(|(name, value)| format!("{name}={value};")).collect::<String>()
            }),
        )
        .mount("/part", part(core.clone()))
        .mount(
            "/closed",
            App::new()
                .layer(signed_in)
                .mount("/part", part(core))
                .get("/me", async |request| request.extensions().get::<User>().unwrap().0.clone()),
        )
        .get("/page", async |_| Html("<p>a page</p>".repeat(500)))
        .get("/old", async |_| Redirect::to("/page"))
        .get("/query", async |request| request.query::<Thing>().map(Json))
        .get("/admin", async |_| "admin")
        .get("/café", async |_| "café")
        .get("/error", async |_| -> Result<(), Failure> {
            Err(std::io::Error::other("the database's password is 1234"))?
        })
        .get("/peer", async |request| request.peer().ip().to_string())
}

#[test]
fn an_api_works_with_a_real_client() {
    let created = ureq::post(url("/api/things"))
        .header("content-type", "application/json")
        .send(r#"{"name":"lamp","tags":["a","b"]}"#)
        .unwrap();
    assert_eq!(created.status(), 201);
    let place = created.headers()["location"].to_str().unwrap().to_owned();
    assert!(place.starts_with("/api/things/"), "{place}");
    let mut lamp = ureq::get(url(&place)).call().unwrap();
    assert_eq!(lamp.body_mut().read_to_string().unwrap(), r#"{"name":"lamp","tags":["a","b"]}"#);
    let form = [("name", "desk"), ("tags", "x y"), ("tags", "é")];
    let created = ureq::post(url("/api/things/")).send_form(form).unwrap();
    let desk = created.headers()["location"].to_str().unwrap().to_owned();
    let mut got = ureq::get(url(&desk)).call().unwrap();
    assert_eq!(got.body_mut().read_to_string().unwrap(), r#"{"name":"desk","tags":["x y","é"]}"#);
    let put = |body: &str| {
        let request = ureq::put(url(&desk)).header("content-type", "application/json");
        request.config().http_status_as_error(false).build().send(body).unwrap().status()
    };
    assert_eq!(put(r#"{"name":"table"}"#), 204);
    assert_eq!(put("{"), 400);
    assert_eq!(put("{}"), 422);
    assert_eq!(ureq::delete(url(&desk)).call().unwrap().status(), 200);
    let gone = ureq::get(url(&desk)).config().http_status_as_error(false).build().call();
    assert_eq!(gone.unwrap().status(), 404);
    let mut all = ureq::get(url("/api/things")).call().unwrap();
    assert_eq!(all.body_mut().read_to_string().unwrap(), r#"["lamp"]"#);
}

#[test]
fn pages_are_compressed_and_redirections_followed() {
    let mut page = ureq::get(url("/old")).call().unwrap();
    assert_eq!(page.headers()["vary"], "Accept-Encoding");
    assert_eq!(page.body_mut().read_to_string().unwrap(), "<p>a page</p>".repeat(500));
    let mut wire = Wire::open(server().address());
    wire.send(get("/page", "Accept-Encoding: gzip\r\n"));
    let head = wire.head().unwrap();
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    let len: usize = head.header("content-length").unwrap().parse().unwrap();
    assert!(len < 200, "{len}");
    wire.read_exact(len).unwrap();
    let plain = wire.ask(get("/page", ""));
    assert_eq!((plain.header("content-encoding"), plain.body.len()), (None, 6_500));
    wire.send(get("/page", "Accept-Encoding: gzip\r\n").replace("GET", "HEAD"));
    assert_eq!(wire.head().unwrap().header("content-encoding"), None);
    assert_eq!(wire.ask(get("/admin", "")).body, "admin");
}

#[test]
fn paths_queries_and_peers_are_read() {
    assert_eq!(ask("/deep/1/2/3/4%2F5"), (200, "a=1;b=2;rest=3/4/5;".into()));
    assert_eq!(
        ask("/query?name=a+b%21&tags=c&tags=d"),
        (200, r#"{"name":"a b!","tags":["c","d"]}"#.into())
    );
    assert_eq!(ask("/query?nam=a").0, 400);
    assert_eq!(ask("/peer"), (200, "127.0.0.1".into()));
    assert_eq!(ask("/caf%C3%A9"), (200, "café".into()));
    assert_eq!(ask("/admin/"), (200, "admin".into()));
    assert_eq!(ask("/nothing"), (404, "Not Found".into()));
    let mut wire = Wire::open(server().address());
    let response = wire.ask(get("/admin", "").replace("GET", "DELETE"));
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")));
    let response = wire.ask(get("/api/things/7", "").replace("GET", "OPTIONS"));
    assert_eq!((response.status, response.header("allow")), (204, Some("GET, PUT, DELETE, HEAD")));
    let response = wire.ask(get("/admin", "").replace("GET /admin", "OPTIONS *"));
    assert_eq!(response.status, 404);
    let response = wire.ask(get("http://localhost/admin", ""));
    assert_eq!(response.body, "admin");
}

#[test]
fn one_path_has_one_meaning_and_tricks_are_refused() {
    for target in ["/%61dmin", "/a%64min", "/%61%64%6d%69%6e?x", "/%61dmin/"] {
        assert_eq!(ask(target), (200, "admin".into()), "{target}");
    }
    for target in [
        "/../admin",
        "/x/../admin",
        "/x/..",
        "/%2e%2e/admin",
        "/x/%2E%2e/admin",
        "/x%2f..%2fadmin",
        "/..%5cadmin",
        "/admin%00",
        "/%00",
        "/%",
        "/%4",
        "/%zz",
        "/%c0%ae%c0%ae/admin",
        "/%ff",
        "/%u0061dmin",
        "/<admin>",
    ] {
        assert_eq!(ask(target).0, 400, "{target}");
    }
    for target in ["//admin", "/./admin", "/admin;x", "/admin%2F", "/Admin", "/admin%3Fx"] {
        assert_eq!(ask(target).0, 404, "{target}");
    }
    assert_eq!(ask(&format!("/{}", "a/".repeat(4_000))).0, 404);
    assert_eq!(ask(&format!("/{}", "a".repeat(9_000))).0, 414);
    assert_eq!(ask(&format!("/admin?{}", "a=b&".repeat(2_000))), (200, "admin".into()));
}

#[test]
fn an_error_inside_is_not_told() {
    let (status, body) = ask("/error");
    assert_eq!((status, &*body), (500, "Internal Server Error"));
}

#[test]
fn mounted_parts_have_their_own_paths_errors_and_layers() {
    assert_eq!(ask("/part"), (200, "/part|/|/part".into()));
    assert_eq!(ask("/part/?x=y"), (200, "/part|/?x=y|/part/?x=y".into()));
    assert_eq!(ask("/part/fails"), (409, "part at \"/part\": as asked".into()));
    assert_eq!(ask("/part/none"), (404, "part has no /none".into()));
    assert_eq!(ask("/party"), (404, "Not Found".into()));
    let mut wire = Wire::open(server().address());
    for target in ["/closed/part", "/closed/me", "/closed/none"] {
        let response = wire.ask(get(target, ""));
        assert_eq!((response.status, response.header("www-authenticate")), (401, Some("X-User")));
    }
    let user = "X-User: ann\r\n";
    assert_eq!(wire.ask(get("/closed/me", user)).body, "ann");
    assert_eq!(wire.ask(get("/closed/part", user)).body, "/closed/part|/|/closed/part");
    let failed = wire.ask(get("/closed/part/fails", user));
    assert_eq!(failed.body, "part at \"/closed/part\": as asked");
    assert_eq!(wire.ask(get("/closed/none", user)).body, "Not Found");
}

/// Connects to a namespace and returns the socket.
fn join(namespace: &str) -> WebSocket {
    let mut socket = WebSocket::open(server().address());
    assert!(socket.receive().unwrap().text().starts_with("0{"));
    socket.send_text(&format!("40{namespace},"));
    let answer = socket.receive().unwrap().text().to_owned();
    assert!(answer.starts_with(&format!("40{namespace},{{\"sid\"")), "{answer}");
    socket
}

#[test]
fn mounted_parts_bring_their_namespaces() {
    let mut part = join("/part");
    let mut closed = join("/closed/part");
    join("/part/news");
    join("/closed/part/news");
    part.send_text("42/part,7[\"where\"]");
    assert!(part.receive().unwrap().text().starts_with("43/part,7[\""));
    let mut wire = Wire::open(server().address());
    let ring = |target: &str, headers: &str| get(target, headers).replace("GET", "POST");
    assert_eq!(wire.ask(ring("/part/ring", "")).status, 200);
    assert_eq!(part.receive().unwrap().text(), "42/part,[\"bell\",1]");
    assert_eq!(wire.ask(ring("/closed/part/ring", "X-User: ann\r\n")).status, 200);
    assert_eq!(closed.receive().unwrap().text(), "42/closed/part,[\"bell\",1]");
    let mut socket = WebSocket::open(server().address());
    socket.receive().unwrap();
    socket.send_text("40/closed,");
    assert_eq!(socket.receive().unwrap().text(), "44/closed,{\"message\":\"Invalid namespace\"}");
}

#[test]
fn layers_see_every_request() {
    let mut wire = Wire::open(server().address());
    let mut count = || {
        let response = wire.ask(get("/admin", ""));
        response.header("x-count").unwrap().parse::<u64>().unwrap()
    };
    assert!(count() < count());
}
