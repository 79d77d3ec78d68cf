"""The site's pages out of the project's own texts: README, CONTRIBUTING, docs/, notebooks, benchmarks.

Nothing is told twice: the README's sections become pages of the guide, the glossary is CONTRIBUTING's, the lessons are
the notebooks as they were executed.  Links between these files become links between pages; to any other file they lead
to the repository, where ``url`` says where that is, and are plain words otherwise.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from posixpath import normpath

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

# README's section -> page; those that are not here are part of the guide, under a name made of the title
SECTIONS = {
    "Am I right?": "guide/am-i-right",
    "Twenty lines": "guide/twenty-lines",
    "Speed": "speed/index",
    "The idea: one table": "design/one-table",
    "A map of the folders, in the order data flows": "design/map",
    "Design notes": "design/notes",
    "Honest limits": "guide/limits",
    "Lessons": "",  # the lessons have an index of their own
}
# files -> page
FILES = {
    "README.md": "index",
    "CONTRIBUTING.md": "design/contributing",
    "CHANGELOG.md": "changelog",
    "docs/names.md": "guide/names",
    "docs/array_api.md": "guide/array-api",
    "docs/marking.md": "guide/marking",
    "benchmarks/results/table.md": "speed/measured",
    "autoconv/datasets/README.md": "guide/datasets",
}
# at the head of a page with wide tables: no list of its headings beside it
WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n\n"
FENCE = re.compile(r"(?ms)^(```+|~~~+).*?^\1[ \t]*$|^    .*?$")


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """``text`` with ``change`` made to what is no block of code.

    >>> outside_code("a\\n\\n    a\\n", lambda t: t.replace("a", "b"))
    'b\\n\\n    a\\n'
    """
    said, end = [], 0
    for code in FENCE.finditer(text):
        said += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*said, change(text[end:])])


def sections(text: str) -> list[tuple[str, str]]:
    """(title, text) of each ``##`` section; what stands above the first has the title "".

    >>> sections("# A\\n\\nb\\n\\n## C\\n\\nd\\n")
    [('', '# A\\n\\nb\\n\\n'), ('C', '\\nd\\n')]
    """
    ends = [m for m in re.finditer(r"(?m)^## (.+)\n", text) if not inside_fence(text, m.start())]
    found = [("", text[: ends[0].start()] if ends else text)]
    for one, following in zip(ends, [*ends[1:], None], strict=True):
        found.append((one[1].strip(), text[one.end() : following.start() if following else len(text)]))
    return found


def inside_fence(text: str, place: int) -> bool:
    return text[:place].count("\n```") % 2 == 1


def slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


class Pages:
    """Writes the pages into ``folder``; ``url`` is the address of the repository, "" where there is none."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder, self.url = folder, url
        self.copied: set[str] = set()
        self.files = {**FILES, **{f"docs/coming_from/{p.name}": f"coming-from/{p.stem}" for p in self.coming_from()}}
        parts = sections((ROOT / "README.md").read_text(encoding="utf-8"))
        self.of_readme = {slug(t): SECTIONS.get(t, f"guide/{slug(t)}") or "lessons/index" for t, _ in parts if t}
        self.lessons = sorted(p for p in (ROOT / "notebooks").glob("*.ipynb"))
        self.files |= {f"notebooks/{p.name}": f"lessons/{p.stem}" for p in self.lessons}

    @staticmethod
    def coming_from() -> list[Path]:
        return sorted((ROOT / "docs" / "coming_from").glob("*.md"))

    def linked(self, text: str, page: str, source: str) -> str:
        """Links of the file ``source``, for the page ``page``: to pages, to copied pictures, or to the repository."""
        up = "../" * page.count("/")
        home = Path(source).parent

        def target(link: str) -> str | None:
            place, _, anchor = link.partition("#")
            if re.match(r"\w+:", link) or not place:
                return link
            file = normpath((home / place).as_posix())
            if file == "README.md" and anchor in self.of_readme:
                return f"{up}{self.of_readme[anchor]}.md"
            if file in self.files:
                return (
                    f"{up}{self.files[file]}"
                    + (".ipynb" if file.endswith(".ipynb") else ".md")
                    + (anchor and f"#{anchor}")
                )
            if (ROOT / file).suffix in (".svg", ".png") and (ROOT / file).is_file():
                self.copied.add(file)
                return f"{up}pictures/{Path(file).name}"
            return f"{self.url}/blob/HEAD/{file}" if self.url else None

        def of_link(match: re.Match[str]) -> str:
            if match["picture"] is not None:
                return of_picture(match["picture"])
            to = target(match["to"])
            return f"{match['shown']}[{match['words']}]({to})" if to else match["words"]

        def of_picture(tag: str) -> str:
            settings = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            size = "".join(f" {k}={settings[k]}px" for k in ("width", "height") if k in settings)
            return f"![{settings.get('alt', '')}]({target(settings['src'])}){{{size.strip()}}}"

        either = r"<img (?P<picture>[^>]*)>|(?P<shown>!?)\[(?P<words>[^\]\[]*)\]\((?P<to>[^)\s]+)\)"
        # in one pass: what is made is not read again
        return outside_code(text, lambda part: re.sub(either, of_link, part))

    def write_text(self, page: str, text: str) -> None:
        place = self.folder / f"{page}.md"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text.rstrip() + "\n", encoding="utf-8")

    def write(self) -> None:
        """All of them."""
        guide = self.write_readme()
        for file, page in self.files.items():
            if file.endswith(".md") and file not in ("README.md", "CONTRIBUTING.md"):
                wide = WIDE if page.startswith("coming-from/") else ""
                self.write_text(page, wide + self.linked((ROOT / file).read_text(encoding="utf-8"), page, file))
        self.write_contributing()
        self.write_lessons()
        self.write_indexes(guide)
        for file in self.copied:
            (self.folder / "pictures").mkdir(exist_ok=True)
            shutil.copy(ROOT / file, self.folder / "pictures")

    def write_readme(self) -> list[str]:
        """The README's sections as pages; the first, as the site's own, goes on with ``index.md`` beside this file."""
        parts = sections((ROOT / "README.md").read_text(encoding="utf-8"))
        page_of = {title: SECTIONS.get(title, f"guide/{slug(title)}") for title, _ in parts[1:]}
        for title, text in parts[1:]:
            if page_of[title]:
                page = page_of[title]
                self.write_text(page, f"# {title}\n\n{self.linked(text, page, 'README.md')}")
        head = self.linked(parts[0][1], "index", "README.md")
        self.write_text("index", head + "\n\n" + (HERE / "index.md").read_text(encoding="utf-8"))
        return [page for page in page_of.values() if page.startswith("guide/")]

    def write_contributing(self) -> None:
        """CONTRIBUTING; and its glossary as a page of its own, from the same text."""
        text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        parts = dict(sections(text))
        rest = text.replace(parts["Glossary"], "\nIs a [page of its own](../glossary.md).\n\n")
        self.write_text("design/contributing", self.linked(rest, "design/contributing", "CONTRIBUTING.md"))
        self.write_text("glossary", f"# Glossary\n\n{self.linked(parts['Glossary'], 'glossary', 'CONTRIBUTING.md')}")

    def write_lessons(self) -> None:
        """The notebooks with their outputs, each with the way into the playground."""
        (self.folder / "lessons").mkdir(parents=True, exist_ok=True)
        for lesson in self.lessons:
            notebook = json.loads(lesson.read_text(encoding="utf-8"))
            first = notebook["cells"][0]
            title, _, rest = "".join(first["source"]).partition("\n")
            door = f"../lite/lab/index.html?path={lesson.name}"
            first["source"] = f'{title}\n\n<a href="{door}">Run this lesson in the browser</a>\n{rest}'
            (self.folder / "lessons" / lesson.name).write_text(json.dumps(notebook), encoding="utf-8")

    def write_indexes(self, guide: list[str]) -> None:
        def tree(pages: list[str], beside: str = "") -> str:
            rows = "\n".join(page.removeprefix(beside) for page in pages)
            return f"\n```{{toctree}}\n:maxdepth: 1\n\n{rows}\n```\n"

        lessons = [f"lessons/{p.stem}" for p in self.lessons]
        coming = [f"coming-from/{p.stem}" for p in self.coming_from()]
        text = dict(sections((ROOT / "README.md").read_text(encoding="utf-8")))["Lessons"]
        told = self.linked(text, "lessons/index", "README.md")
        hidden = tree(lessons, "lessons/").replace(":maxdepth: 1", ":hidden:")
        self.write_text("lessons/index", f"# Lessons\n\n{told}{hidden}")
        self.write_text(
            "guide/index",
            "# Guide\n" + tree([*guide, "guide/marking", "guide/names", "guide/array-api", "guide/datasets"], "guide/"),
        )
        self.write_text("coming-from/index", "# Coming from\n\nThe same, line by line, in what you know and here."
                        + tree(coming, "coming-from/"))  # fmt: skip
        speed = self.folder / "speed" / "index.md"
        speed.write_text(speed.read_text(encoding="utf-8") + tree(["measured"]), encoding="utf-8")
        design = [page for page in (*SECTIONS.values(), *FILES.values()) if page.startswith("design/")]
        self.write_text("design/index", "# Design\n" + tree(design, "design/"))
