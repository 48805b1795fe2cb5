use agentkeys_http::{Running, Server};
use axum::{
    Router,
    http::header::{CONTENT_SECURITY_POLICY, SET_COOKIE},
    response::Html,
    routing::get,
};

/// A site with a page for each thing that a browser promises.
pub(super) struct Pages {
    server: Running,
}

const FORM: &str = r#"
    <title>Form</title>
    <form action="/done">
      <label for="address">E-mail</label><input id="address" name="email" type="email">
      <label>Code <input name="code"></label>
      <button>Continue with <b>acme</b></button>
    </form>"#;
const DONE: &str = r#"<title>Done</title><p>Thank you<p><a href="/form">Back to the start</a>"#;
const SCRIPT: &str = "
    <p>there are no scripts</p>
    <script>document.querySelector('p').textContent = 'written by a script'</script>";
const WIDE: &str = "<div style='width: 1000px'>wide</div>";
const STRICT: &str = "
    <title>Strict</title>
    <main><h1>Strict</h1><p>black on white</p></main>
    <script>a_script_that_the_policy_forbids()</script>";
const FAULTY: &str = "
    <title>Faulty</title>
    <main><h1>Faulty</h1><p style='color: #ccc'>light grey on white</p><input></main>";

impl Pages {
    pub(super) async fn serve() -> Self {
        let strict = || async {
            let policy = (CONTENT_SECURITY_POLICY, "default-src 'none'");
            let cookie = (SET_COOKIE, "flavour=oat; HttpOnly; SameSite=Lax; Path=/elsewhere");
            ([policy, cookie], page(STRICT))
        };
        let routes = Router::new()
            .route("/done", get(|| async { page(DONE) }))
            .route("/faulty", get(|| async { page(FAULTY) }))
            .route("/form", get(|| async { page(FORM) }))
            .route("/oauth/callback/acme", get(|| async { page("<title>Back</title>Welcome back") }))
            .route("/script", get(|| async { page(SCRIPT) }))
            .route("/strict", get(strict))
            .route("/wide", get(|| async { page(WIDE) }));
        let server = Server::bind("pages", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self { server: server.serve(routes) }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }
}

fn page(content: &str) -> Html<String> {
    let head = r#"<!doctype html><html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1">"#;
    Html(format!("{head}{content}"))
}
