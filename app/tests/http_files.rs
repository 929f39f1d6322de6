//! Files over the wire: what is sent of them, and what is never reached.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use harness::{Inside, Response, Wire, get};
use yamabiko::http::StatusCode;
use yamabiko::{App, Config, Dotfiles, Failure, Files, RequestExt, compression};

const BIG: usize = 5_000_000;

/// A site and a directory beside it, in a place of their own.
struct Place {
    inside: Inside,
    root: PathBuf,
}

fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let above = std::env::temp_dir().join(format!("yamabiko-files-{}", std::process::id()));
        let root = above.join("public");
        furnish(&above, &root);
        let mut config = Config::default();
        config.settings.shards = Some(2);
        let served = root.clone();
        let inside = Inside::serve(config, move |_| site(served.clone()));
        Place { inside, root }
    })
}

fn furnish(above: &std::path::Path, root: &std::path::Path) {
    let _ = fs::remove_dir_all(above);
    for directory in ["public/sub/deeper", "public/empty", "public/.git", "secret"] {
        fs::create_dir_all(above.join(directory)).unwrap();
    }
    for (name, text) in [
        ("public/index.html", "<h1>root</h1>"),
        ("public/ten.txt", "0123456789"),
        ("public/none.txt", ""),
        ("public/sub/index.html", "<h1>sub</h1>"),
        ("public/sub/page.html", "<h1>page</h1>"),
        ("public/with space é.txt", "space"),
        ("public/.hidden", "hidden"),
        ("public/.git/config", "hidden"),
        ("secret/key.txt", "secret"),
        ("public-other.txt", "secret"),
    ] {
        fs::write(above.join(name), text).unwrap();
    }
    let mut big = File::create(root.join("big.css")).unwrap();
    big.write_all(&big_bytes()).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
    File::options().write(true).open(root.join("ten.txt")).unwrap().set_modified(time).unwrap();
    symlink("../secret/key.txt", root.join("out.txt")).unwrap();
    symlink(above.join("secret/key.txt"), root.join("absolute.txt")).unwrap();
    symlink("../secret", root.join("out")).unwrap();
    symlink("ten.txt", root.join("in.txt")).unwrap();
    symlink("sub", root.join("alias")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
}

fn big_bytes() -> Vec<u8> {
    (0..BIG).map(|i| b'a' + ((i / 1_000 + i) % 26) as u8).collect()
}

fn site(root: PathBuf) -> App {
    let quiet =
        async |request: yamabiko::Request, next: yamabiko::Next| match request.header("x-key") {
            Some("open") => next.run(request).await,
            _ => Err(Failure::from(StatusCode::UNAUTHORIZED)),
        };
    let part = App::new()
        .layer(quiet)
        .files("/", Files::new(root.join("sub")))
        .not_found(async |_| (StatusCode::NOT_FOUND, "nothing in the part"));
    App::new()
        .files("/", Files::new(&root))
        .files("/static/of", Files::new(&root).max_age(Duration::from_secs(60)).immutable())
        .files("/dots", Files::new(&root).dotfiles(Dotfiles::Allow))
        .files("/no-dots", Files::new(&root).dotfiles(Dotfiles::Deny))
        .files("/page-first", Files::new(root.join("sub")).index(Some("page.html")))
        .files("/no-index", Files::new(root.join("sub")).index(None))
        .files("/not-yet", Files::new(root.join("not-yet")))
        .nest("/small", yamabiko::Router::new().layer(compression()).files("/", Files::new(&root)))
        .get("/sub/page.html", async |_| "a route comes first")
        .post("/ten.txt", async |_| "posted")
        .mount("/part", part)
}

fn ask(target: &str, headers: &str) -> Response {
    Wire::open(place().inside.address()).ask(get(target, headers))
}

fn status(target: &str) -> u16 {
    ask(target, "").status
}

#[test]
fn a_file_is_sent_with_what_is_known_of_it() {
    let response = ask("/ten.txt", "");
    assert_eq!((response.status, &*response.body), (200, "0123456789"));
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("cache-control", "public, max-age=0"),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("etag", "W/\"a-b690725768\""),
        ("accept-ranges", "bytes"),
        ("content-length", "10"),
    ] {
        let found = response.header(name);
        // The tag's second half is the time in milliseconds.
        let value = value.replace("b690725768", &format!("{:x}", 784_111_777_000_u64));
        assert_eq!(found, Some(&*value), "{name}");
    }
    let other = ask("/static/of/ten.txt", "");
    assert_eq!(other.header("cache-control"), Some("public, max-age=60, immutable"));
    assert_eq!(ask("/none.txt", "").header("content-length"), Some("0"));
    assert_eq!(ask("/with%20space%20%C3%A9.txt", "").body, "space");
    assert_eq!(ask("/in.txt", "").body, "0123456789");
    assert_eq!(ask("/alias/index.html", "").body, "<h1>sub</h1>");
}

#[test]
fn a_large_file_comes_whole_and_a_real_client_can_read_it() {
    let url = format!("http://{}/big.css", place().inside.address());
    let mut response = ureq::get(&url).call().unwrap();
    let bytes = response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    assert!(bytes == big_bytes());
    let mut small = ureq::get(url.replace("/big", "/small/big")).call().unwrap();
    assert_eq!(small.headers()["vary"], "Accept-Encoding");
    let bytes = small.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    assert!(bytes == big_bytes());
    let mut wire = Wire::open(place().inside.address());
    wire.send(get("/big.css", "").replace("GET", "HEAD"));
    assert_eq!(wire.head().unwrap().header("content-length"), Some("5000000"));
    assert_eq!(wire.ask(get("/ten.txt", "")).body, "0123456789");
}

#[test]
fn directories_have_an_index_and_a_slash() {
    assert_eq!(ask("/", "").body, "<h1>root</h1>");
    assert_eq!(ask("/sub/", "").body, "<h1>sub</h1>");
    for (target, location) in [
        ("/sub", "/sub/"),
        ("/sub?a=b", "/sub/?a=b"),
        ("/sub/deeper", "/sub/deeper/"),
        ("/static/of", "/static/of/"),
        ("/static/of?x", "/static/of/?x"),
        ("/static/of/sub", "/static/of/sub/"),
    ] {
        let response = ask(target, "");
        assert_eq!((response.status, response.header("location")), (301, Some(location)));
    }
    assert_eq!(ask("/static/of/", "").body, "<h1>root</h1>");
    assert_eq!(ask("/page-first/", "").body, "<h1>page</h1>");
    for target in ["/empty/", "/sub/deeper/", "/no-index/", "/not-yet/", "/not-yet/a", "/big.css/"]
    {
        assert_eq!(status(target), 404, "{target}");
    }
    // Two slashes would name another host.
    for target in ["//sub", "//evil.example/..", "//evil.example/%2e%2e", "//evil.example/sub"] {
        let response = ask(target, "");
        assert!([400, 404].contains(&response.status), "{target}: {response:?}");
        assert_eq!(response.header("location"), None, "{target}");
    }
}

#[test]
fn routes_come_before_files_and_others_behind_them() {
    assert_eq!(ask("/sub/page.html", "").body, "a route comes first");
    let mut wire = Wire::open(place().inside.address());
    assert_eq!(wire.ask(get("/ten.txt", "").replace("GET", "POST")).body, "posted");
    // The path has a route, for another method; the file answers all the same.
    assert_eq!(wire.ask(get("/ten.txt", "")).body, "0123456789");
    assert_eq!(wire.ask(get("/big.css", "").replace("GET", "PUT")).status, 404);
    assert_eq!(wire.ask(get("/part/index.html", "")).status, 401);
    let key = "X-Key: open\r\n";
    assert_eq!(wire.ask(get("/part/index.html", key)).body, "<h1>sub</h1>");
    assert_eq!(wire.ask(get("/part/", key)).body, "<h1>sub</h1>");
    assert_eq!(wire.ask(get("/part/else", key)).body, "nothing in the part");
}

/// Whatever the path says, the answer is nothing or a refusal, and never the secret.
#[test]
fn nothing_outside_is_reached() {
    for prefix in ["", "/static/of", "/dots"] {
        for path in [
            "/../secret/key.txt",
            "/sub/../../secret/key.txt",
            "/%2e%2e/secret/key.txt",
            "/..%2fsecret%2fkey.txt",
            "/sub/..%2f..%2fsecret/key.txt",
            "/%2e%2e%2fsecret/key.txt",
            "/..%5csecret%5ckey.txt",
            "/..%c0%afsecret/key.txt",
            "/%c0%ae%c0%ae/secret/key.txt",
            "/%252e%252e/secret/key.txt",
            "/....//secret/key.txt",
            "/.../secret/key.txt",
            "/../public-other.txt",
            "//etc/passwd",
            "/%2fetc/passwd",
            "/%2Fetc%2Fpasswd",
            "/file:///etc/passwd",
            "/ten.txt%00.html",
            "/ten.txt%00",
            "/big.css/",
            "/big.css/..",
            "/out.txt",
            "/out/key.txt",
            "/absolute.txt",
            "/loop",
            "/pipe",
            "/..",
            "/%2e%2e",
        ] {
            let target = format!("{prefix}{path}");
            let response = ask(&target, "");
            assert!([400, 404].contains(&response.status), "{target}: {response:?}");
            assert!(!response.body.contains("secret") && !response.body.contains("root:"));
        }
    }
    let long = format!("/{}", "a".repeat(5_000));
    assert_eq!(status(&long), 404);
    assert_eq!(status(&format!("/{}", "a/".repeat(2_000))), 404);
}

#[test]
fn names_that_begin_with_a_dot_are_as_asked_for() {
    for path in ["/.hidden", "/.git/config", "/%2ehidden", "/.git/", "/.nothing", "/./ten.txt"] {
        assert_eq!(status(path), 404, "{path}");
        assert_eq!(status(&format!("/no-dots{path}")), 403, "{path}");
    }
    assert_eq!(ask("/dots/.hidden", "").body, "hidden");
    assert_eq!(ask("/dots/.git/config", "").body, "hidden");
}

#[test]
fn conditions_are_honoured() {
    let tag = ask("/ten.txt", "").header("etag").unwrap().to_owned();
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    for (headers, expected) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: \"x\", {tag}\r\n"), 304),
        ("If-None-Match: *\r\n".into(), 304),
        ("If-None-Match: \"x\"\r\n".into(), 200),
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"), 200),
        (format!("If-Modified-Since: {date}\r\n"), 304),
        (format!("If-Modified-Since: {before}\r\n"), 200),
        ("If-Modified-Since: nonsense\r\n".into(), 200),
        (format!("If-Match: {tag}\r\n"), 200),
        ("If-Match: \"x\"\r\n".into(), 412),
        (format!("If-Unmodified-Since: {before}\r\n"), 412),
        (format!("If-Unmodified-Since: {date}\r\n"), 200),
    ] {
        let response = ask("/ten.txt", &headers);
        assert_eq!(response.status, expected, "{headers}");
        if expected == 304 {
            assert_eq!(response.header("etag"), Some(&*tag));
            assert_eq!((response.header("content-length"), &*response.body), (None, ""));
        }
    }
}

#[test]
fn one_range_is_answered_and_many_are_not() {
    let part = |range: &str| {
        let response = ask("/ten.txt", &format!("Range: {range}\r\n"));
        let content_range = response.header("content-range").map(str::to_owned);
        (response.status, content_range.unwrap_or_default(), response.body)
    };
    for (range, content_range, body) in [
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=0-1000000", "bytes 0-9/10", "0123456789"),
    ] {
        assert_eq!(part(range), (206, content_range.into(), body.into()), "{range}");
    }
    for range in ["bytes=10-", "bytes=-0", "bytes=99999999999999999999-"] {
        let (status, content_range, _) = part(range);
        assert_eq!((status, &*content_range), (416, "bytes */10"), "{range}");
    }
    let all = (200, String::new(), "0123456789".to_owned());
    let many = format!("bytes={}", vec!["0-9"; 1_000].join(","));
    for range in ["bytes=0-1,3-4", "bytes=4-2", "lines=0-1", "bytes=", "bytes=a-b", &many] {
        assert_eq!(part(range), all, "{range}");
    }
    let tag = ask("/ten.txt", "").header("etag").unwrap().to_owned();
    let mixed = |condition: &str| {
        ask("/ten.txt", &format!("Range: bytes=0-1\r\nIf-Range: {condition}\r\n")).status
    };
    assert_eq!(mixed(&tag), 206);
    assert_eq!(mixed("\"other\""), 200);
    assert_eq!(mixed("Sun, 06 Nov 1994 08:49:37 GMT"), 206);
    assert_eq!(mixed("Sun, 06 Nov 1994 08:49:36 GMT"), 200);
    let response = ask("/big.css", "Range: bytes=4000000-4999999\r\n");
    assert_eq!(response.body.as_bytes(), &big_bytes()[4_000_000..]);
    // A part of what would be compressed is a part of the plain file.
    let response = ask("/small/big.css", "Range: bytes=5-9\r\nAccept-Encoding: gzip\r\n");
    assert_eq!((response.status, response.header("content-encoding")), (206, None));
    assert_eq!(response.body.as_bytes(), &big_bytes()[5..10]);
}

/// Many at once, some of whom read nothing or go away.
#[test]
fn slow_and_vanishing_readers_harm_nobody() {
    let address = place().inside.address();
    let mut slow: Vec<Wire> = (0..50)
        .map(|i| {
            let mut wire = Wire::open(address);
            wire.send(get("/big.css", ""));
            if i % 2 == 0 {
                wire.head().unwrap();
            }
            wire
        })
        .collect();
    let vanish = slow.split_off(25);
    for wire in vanish {
        wire.reset();
    }
    for _ in 0..100 {
        assert_eq!(ask("/ten.txt", "").body, "0123456789");
    }
    // The last one has read its head, and now goes on where it was.
    let mut last = slow.pop().unwrap();
    drop(slow);
    for piece in big_bytes().chunks(100_000) {
        assert!(last.read_exact(piece.len()).unwrap() == piece);
    }
}

#[test]
fn a_file_that_is_cut_short_breaks_the_answer_off() {
    let path = place().root.join("shrinks.bin");
    fs::write(&path, vec![7; 20_000_000]).unwrap();
    let mut wire = Wire::open(place().inside.address());
    wire.send(get("/shrinks.bin", ""));
    assert_eq!(wire.head().unwrap().header("content-length"), Some("20000000"));
    std::thread::sleep(Duration::from_millis(200));
    File::options().write(true).open(&path).unwrap().set_len(1_000).unwrap();
    assert!(wire.read_to_end().len() < 20_000_000);
    assert_eq!(ask("/ten.txt", "").body, "0123456789");
}
