//! A document, taken apart.

use std::collections::BTreeSet;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Languages of blocks that are no commands.
const LANGUAGES: [&str; 5] = ["diff", "js", "json", "python", "text"];

/// A document of the repository.
pub(crate) struct Document {
    /// Its path from the root of the repository.
    pub(crate) path: String,
    /// Its blocks of commands.
    pub(crate) blocks: Vec<Block>,
    /// Its blocks of text.
    pub(crate) texts: Vec<String>,
    /// Where its links lead.
    pub(crate) links: Vec<String>,
    /// What links to its headings end in.
    pub(crate) anchors: BTreeSet<String>,
    /// What stands in it as code inside a line.
    pub(crate) spans: Vec<String>,
    /// Its lines outside of blocks and tables, by their numbers.
    pub(crate) prose: Vec<(usize, String)>,
}

/// A block of commands.
pub(crate) struct Block {
    /// The line of its first command.
    pub(crate) line: usize,
    pub(crate) commands: String,
    pub(crate) mark: Mark,
    /// What the document shows as its output.
    pub(crate) prints: Option<String>,
}

/// What becomes of a block.
#[derive(PartialEq)]
pub(crate) enum Mark {
    /// It is run here.
    Run,
    /// It is run here beside the others.
    StaysRunning,
    /// It is run by this file, or by this test in it.
    RunBy { file: String, test: Option<String> },
    /// It is not run, for a reason that the document says.
    NotRun,
}

impl Mark {
    /// What a comment says of the block below it.
    fn read(comment: &str) -> Option<Self> {
        let comment = comment.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
        if comment == "stays running" {
            return Some(Self::StaysRunning);
        }
        if let Some(reason) = comment.strip_prefix("not run: ") {
            return (reason.len() > 10).then_some(Self::NotRun);
        }
        let by = comment.strip_prefix("run by ")?;
        let (file, test) = by.split_once(": ").map_or((by, None), |(file, test)| (file, test.split(',').next()));
        Some(Self::RunBy { file: file.to_owned(), test: test.map(str::to_owned) })
    }
}

impl Document {
    /// Takes a document apart.
    ///
    /// # Panics
    /// Where a block is of no known language, or a comment above a block of commands says nothing that is understood.
    pub(crate) fn read(path: &str, text: &str) -> Self {
        let mut document = Self {
            path: path.to_owned(),
            blocks: Vec::new(),
            texts: Vec::new(),
            links: Vec::new(),
            anchors: BTreeSet::new(),
            spans: Vec::new(),
            prose: Vec::new(),
        };
        let line_of = |at: usize| text[..at].matches('\n').count() + 1;
        let mut others: Vec<std::ops::Range<usize>> = Vec::new();
        // The comment right above, and whether a block of commands is.
        let (mut comment, mut below_commands) = (None::<String>, false);
        let (mut block, mut heading, mut html) = (None::<(String, String)>, None::<String>, None::<String>);
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    others.push(range);
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.to_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    block = Some((language, String::new()));
                }
                Event::End(TagEnd::CodeBlock) => {
                    let (language, content) = block.take().expect("it has begun");
                    let place = format!("{path}:{}", line_of(range.start));
                    let mark = comment.take().map(|comment| {
                        Mark::read(&comment)
                            .unwrap_or_else(|| panic!("{place}: what does {comment:?} say of the block?"))
                    });
                    let is_commands = language == "sh";
                    if is_commands {
                        let (line, mark) = (line_of(range.start) + 1, mark.unwrap_or(Mark::Run));
                        document.blocks.push(Block { line, commands: content, mark, prints: None });
                    } else {
                        assert!(LANGUAGES.contains(&language.as_str()), "{place}: a block of {language:?}");
                        assert!(mark.is_none(), "{place}: a block that is no commands cannot be run");
                        match document.blocks.last_mut().filter(|_| below_commands) {
                            Some(block) => block.prints = Some(content),
                            None => document.texts.push(content),
                        }
                    }
                    below_commands = is_commands;
                }
                Event::Start(Tag::HtmlBlock) => html = Some(String::new()),
                Event::End(TagEnd::HtmlBlock) => (comment, below_commands) = (html.take(), false),
                Event::Html(text) => html.get_or_insert_default().push_str(&text),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    document.anchors.insert(anchor(&heading.take().expect("it has begun")));
                    (comment, below_commands) = (None, false);
                }
                Event::Start(Tag::Table(_)) => others.push(range),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push(dest_url.to_string());
                }
                Event::Start(Tag::Paragraph) => (comment, below_commands) = (None, false),
                Event::Text(text) => match (&mut block, &mut heading) {
                    (Some((_, content)), _) => content.push_str(&text),
                    (None, Some(heading)) => heading.push_str(&text),
                    (None, None) => {}
                },
                Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                    document.spans.push(text.to_string());
                }
                _ => {}
            }
        }
        let mut at = 0;
        for (number, line) in text.lines().enumerate() {
            if !others.iter().any(|other| other.contains(&at)) {
                document.prose.push((number + 1, line.to_owned()));
            }
            at += line.len() + 1;
        }
        document
    }

    /// Whether any of its blocks is run here.
    pub(crate) fn runs(&self) -> bool {
        self.blocks.iter().any(|block| block.mark == Mark::Run)
    }
}

/// What a link to a heading ends in: its words in lower case, joined by hyphens, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The path from the root of what a document names from where it stands.
pub(crate) fn beside(document: &str, path: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop().unwrap_or_else(|| panic!("{document}: {path} leads out of the repository"));
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn a_document_is_taken_apart() {
    let text = "# A `b` c!\n\n[x](../y.md#z)\n\n<!-- not run: it needs what is not here -->\n```sh\nfalse\n```\n\n\
                1. `s::t`\n\n   ```sh\n   true\n   ```\n\n   ```text\n   …\n   ```\n\n```text\nx\n```\n";
    let document = Document::read("d/a.md", text);
    assert_eq!(document.anchors.iter().collect::<Vec<_>>(), ["a-b-c"]);
    assert_eq!((document.links[0].as_str(), beside("d/a.md", "../y.md").as_str()), ("../y.md#z", "y.md"));
    let [first, second] = &document.blocks[..] else { panic!("two blocks") };
    assert!(first.mark == Mark::NotRun && first.commands == "false\n" && first.line == 7);
    assert!(second.mark == Mark::Run && second.commands == "true\n" && second.prints.as_deref() == Some("…\n"));
    assert_eq!(
        (document.spans.as_slice(), document.texts.as_slice()),
        (&["b".into(), "s::t".into()][..], &["x\n".into()][..])
    );
}

#[test]
#[should_panic(expected = "what does")]
fn a_comment_that_says_nothing_fails() {
    Document::read("a.md", "<!-- skip -->\n```sh\ntrue\n```\n");
}
