"""What becomes of a tree: the tree before, what Alice and Bob do to it while neither is connected, the tree after.

    case("edit and rename", "a=1", alice="a=2", bob="mv a -> b", after="b=2")

A tree is its files and empty folders, separated by ", ": ``a=1`` is a file with its content, ``a=1+x`` an executable
one, ``a=9000000*z`` one of nine million z, ``d/`` an empty folder. What people do is spelled out in ``people.py``.
``a (conflict bob)`` is a conflict copy that Bob's device brought about; the day in its name is left out.

The tree after is the one that Alice, Bob, the library, and Carol, who joins at the very end, have. It is that of Alice
synchronising first; ``bob_first`` is the other one, where it makes a difference, and ``bob_often`` where it makes one
that Bob synchronises after each thing he does (Alice: never one). ``sent`` is how many bytes Alice's
client uploads for what she did.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    title: str
    before: str
    after: str
    bob_first: str
    bob_often: str
    alice: str = ""
    bob: str = ""
    carol: str = ""
    sent: int | None = None


CASES: dict[str, Case] = {}


def case(
    title: str,
    before: str,
    *,
    after: str,
    bob_first: str | None = None,
    bob_often: str | None = None,
    alice: str = "",
    bob: str = "",
    carol: str = "",
    sent: int | None = None,
) -> None:
    assert title not in CASES, title
    bob_first = after if bob_first is None else bob_first
    bob_often = bob_first if bob_often is None else bob_often
    CASES[title] = Case(title, before, after, bob_first, bob_often, alice, bob, carol, sent)


# ---- one person changes something: the others get just that

case("nothing", "a=1, d/", after="a=1, d/", sent=0)
case("add a file", "", alice="a=1", after="a=1")
case("add an empty file", "", alice="a=", after="a=")
case("add several empty files", "", alice="a=; b=; d/c=", after="a=, b=, d/c=")
case("add an empty folder", "", alice="mkdir d", after="d/")
case("add folders in folders", "", alice="mkdir a/b/c; a/d/e=1", after="a/b/c/, a/d/e=1")
case("edit in place", "a=1", alice="a=2", after="a=2")
case("append", "a=1", alice="a+=2", after="a=12")
case("truncate", "a=12345", alice="a=1", after="a=1")
case("empty a file", "a=1", alice="a=", after="a=", sent=0)
case("fill an empty file", "a=", alice="a=1", after="a=1")
case("edit to the same size", "a=1", alice="a=2", after="a=2")
case("edit, and edit back", "a=1", alice="a=2; a=1", after="a=1")
case("save as editors do, renaming over", "a=1", alice="save a=2", after="a=2")
case("save twice as editors do", "a=1", alice="save a=2; save a=3", after="a=3")
case("save and keep a backup", "a=1", alice="backup a=2", after="a=2, a~=1", sent=1)
case("save and keep another backup", "a=1, a~=0", alice="backup a=2", after="a=2, a~=1", sent=1)
case("remove a file", "a=1, b=2", alice="rm a", after="b=2", sent=0)
case("remove the only file", "a=1", alice="rm a", after="")
case("remove the last file of a folder", "d/a=1", alice="rm d/a", after="d/")
case("remove an empty folder", "d/, a=1", alice="rm d", after="a=1")
case("remove a folder with all in it", "d/a=1, d/e/b=2, d/f/", alice="rm d", after="")
case("remove a folder in a folder", "d/a=1, d/e/b=2", alice="rm d/e", after="d/a=1")
case("remove, and make again", "a=1", alice="rm a; a=1", after="a=1")
case("remove, and make another", "a=1", alice="rm a; a=2", after="a=2")
case("remove a folder, and make it again", "d/a=1, d/b=2", alice="rm d; d/a=1", after="d/a=1")
case("copy a file", "a=1", alice="cp a -> b", after="a=1, b=1", sent=0)
case(
    "copy a folder",
    "d/a=1, d/e/b=2, d/f/",
    alice="cp d -> g",
    after="d/a=1, d/e/b=2, d/f/, g/a=1, g/e/b=2, g/f/",
    sent=0,
)
case("make a file executable", "a=1", alice="chmod +x a", after="a=1+x", sent=0)
case("make a file plain again", "a=1+x", alice="chmod -x a", after="a=1", sent=0)
case("make executable and edit", "a=1", alice="chmod +x a; a=2", after="a=2+x")
case("an executable empty file", "", alice="a=; chmod +x a", after="a=+x")
case("a file in parts", "", alice="big=9000000*z", after="big=9000000*z", sent=9_000_000)
case("append to a file in parts", "big=9000000*z", alice="big+=1", after="big=" + "z" * 9_000_000 + "1")
case("a file outgrows one part", "a=1", alice="a=8388608*z", after="a=8388608*z")
case("a file shrinks to one part", "a=8388608*z", alice="a=8388607*z", after="a=8388607*z")
case("a file in parts is renamed", "big=9000000*z", alice="mv big -> b", after="b=9000000*z", sent=0)

# ---- renames and moves: one change each, and no content is sent

case("rename a file", "a=1", alice="mv a -> b", after="b=1", sent=0)
case("rename an empty file", "a=", alice="mv a -> b", after="b=", sent=0)
case("rename by case only", "a=1", alice="mv a -> A", after="A=1", sent=0)
case("rename a folder by case only", "d/a=1", alice="mv d -> D", after="D/a=1", sent=0)
case("move a file into a folder", "a=1, d/", alice="mv a -> d/a", after="d/a=1", sent=0)
case("move a file out of a folder", "d/a=1", alice="mv d/a -> a", after="a=1, d/", sent=0)
case("move a file into a new folder", "a=1", alice="mv a -> d/e/a", after="d/e/a=1", sent=0)
case("move and rename", "a=1, d/", alice="mv a -> d/b", after="d/b=1", sent=0)
case("move and edit", "a=1, d/", alice="mv a -> d/a; d/a=2", after="d/a=2")
case("rename and edit", "a=1", alice="mv a -> b; b=2", after="b=2")
case("edit and rename", "a=1", alice="a=2; mv a -> b", after="b=2")
case("rename and make executable", "a=1", alice="mv a -> b; chmod +x b", after="b=1+x", sent=0)
case("rename over another file", "a=1, b=2", alice="mv a -> b", after="b=1", sent=0)
case("rename, and put another in its place", "a=1", alice="mv a -> b; a=2", after="a=2, b=1", sent=1)
case("rename there and back", "a=1", alice="mv a -> b; mv b -> a", after="a=1", sent=0)
case("rename a folder", "d/a=1, d/e/b=2", alice="mv d -> f", after="f/a=1, f/e/b=2", sent=0)
case("rename an empty folder", "d/", alice="mv d -> f", after="f/", sent=0)
case("move a folder into another", "d/a=1, e/b=2", alice="mv d -> e/d", after="e/b=2, e/d/a=1", sent=0)
case("move a folder into a new one", "d/a=1", alice="mv d -> n/m/d", after="n/m/d/a=1", sent=0)
case(
    "move a folder into another that moves",
    "a/x=1, b/y=2, c/",
    alice="mv a -> b/a; mv b -> c/b",
    after="c/b/a/x=1, c/b/y=2",
    sent=0,
)
case("rename a folder and a file in it", "d/a=1", alice="mv d -> e; mv e/a -> e/b", after="e/b=1", sent=0)
case("rename a folder and edit in it", "d/a=1, d/b=2", alice="mv d -> e; e/a=3", after="e/a=3, e/b=2", sent=1)
case(
    "rename a folder, edit one file and add one",
    "d/a=1, d/b=2",
    alice="mv d -> e; e/a=3; e/c=4",
    after="e/a=3, e/b=2, e/c=4",
    sent=2,
)
case("rename a folder and add another of its name", "d/a=1", alice="mv d -> e; d/n=2", after="d/n=2, e/a=1", sent=1)
case("rename a folder and remove from it", "d/a=1, d/b=2", alice="mv d -> e; rm e/a", after="e/b=2", sent=0)
case(
    "move all out of a folder and remove it",
    "d/a=1, d/b=2",
    alice="mv d/a -> a; mv d/b -> b; rm d",
    after="a=1, b=2",
    sent=0,
)
case(
    "a folder comes out of another, which goes into it",
    "a/b/x=1, a/y=2",
    alice="mv a/b -> b; mv a -> b/a",
    after="b/a/y=2, b/x=1",
    sent=0,
)
case(
    "three folders turned inside out",
    "a/b/c/x=1",
    alice="mv a/b/c -> c; mv a/b -> c/b; mv a -> c/b/a",
    after="c/b/a/, c/x=1",
    sent=0,
)
case(
    "a folder copied, and the original removed",
    "d/a=1, d/e/b=2",
    alice="cp d -> f; rm d",
    after="f/a=1, f/e/b=2",
    sent=0,
)
case("a folder copied over, as a restored backup is", "d/a=1, e/b=2", alice="restore", after="d/a=1, e/b=2", sent=0)
case(
    "restored and renamed: known by content",
    "d/a=1, e/b=2",
    alice="restore; mv d/a -> c",
    after="c=1, d/, e/b=2",
    sent=0,
)
case("restored, a folder renamed", "d/a=1, d/b=2", alice="restore; mv d -> e", after="e/a=1, e/b=2", sent=0)
case("restored and edited", "d/a=1, e/b=2", alice="restore; d/a=3", after="d/a=3, e/b=2", sent=1)
case("two files of the same bytes are renamed", "a=1, b=1", alice="mv a -> c; mv b -> d", after="c=1, d=1", sent=0)
case(
    "two of the same bytes move, restored", "a=1, b=1", alice="restore; mv a -> c; mv b -> d", after="c=1, d=1", sent=0
)

# ---- names that change hands

case("swap two files", "a=1, b=2", alice="swap a <-> b", after="a=2, b=1", sent=0)
case("swap two files across folders", "d/a=1, e/b=2", alice="swap d/a <-> e/b", after="d/a=2, e/b=1", sent=0)
case("swap two folders", "a/x=1, b/y=2", alice="swap a <-> b", after="a/y=2, b/x=1", sent=0)
case("swap two folders that hold the same names", "a/x=1, b/x=2", alice="swap a <-> b", after="a/x=2, b/x=1", sent=0)
case("swap two folders, one of them empty", "a/x=1, b/", alice="swap a <-> b", after="a/, b/x=1", sent=0)
case("swap a file and a folder", "a=1, d/x=2", alice="swap a <-> d", after="a/x=2, d=1", sent=0)
case("swap folders at two depths", "a/x=1, d/b/y=2", alice="swap a <-> d/b", after="a/y=2, d/b/x=1", sent=0)
case(
    "a ring of three files",
    "a=1, b=2, c=3",
    alice="mv a -> t; mv c -> a; mv b -> c; mv t -> b",
    after="a=3, b=1, c=2",
    sent=0,
)
case(
    "a ring of three folders",
    "a/x=1, b/y=2, c/z=3",
    alice="mv a -> t; mv c -> a; mv b -> c; mv t -> b",
    after="a/z=3, b/x=1, c/y=2",
    sent=0,
)
case(
    "a ring across folders",
    "d/a=1, e/b=2, c=3",
    alice="mv d/a -> t; mv c -> d/a; mv e/b -> c; mv t -> e/b",
    after="c=2, d/a=3, e/b=1",
    sent=0,
)
case("a chain of two files", "a=1, b=2", alice="mv b -> c; mv a -> b", after="b=1, c=2", sent=0)
case("a chain of three files", "a=1, b=2, c=3", alice="mv c -> d; mv b -> c; mv a -> b", after="b=1, c=2, d=3", sent=0)
case(
    "a chain of folders",
    "a/x=1, b/y=2, c/z=3",
    alice="mv c -> d; mv b -> c; mv a -> b",
    after="b/x=1, c/y=2, d/z=3",
    sent=0,
)
case("a chain that ends in a removal", "a=1, b=2, c=3", alice="rm c; mv b -> c; mv a -> b", after="b=1, c=2", sent=0)
case(
    "logs that are turned over",
    "log=3, log.1=2, log.2=1",
    alice="rm log.2; mv log.1 -> log.2; mv log -> log.1; log=4",
    after="log=4, log.1=3, log.2=2",
    sent=1,
)
case("swap two files, and edit one", "a=1, b=2", alice="swap a <-> b; a=3", after="a=3, b=1", sent=1)
case("swap here, edit there", "a=1, b=2", alice="swap a <-> b", bob="a=3", after="a=2, b=3")
case("swap here, swap there", "a=1, b=2", alice="swap a <-> b", bob="swap a <-> b", after="a=2, b=1")
case("swap folders here, add there", "a/x=1, b/y=2", alice="swap a <-> b", bob="a/n=3", after="a/y=2, b/n=3, b/x=1")
case(
    "a ring here, an edit in it there",
    "a=1, b=2, c=3",
    alice="mv a -> t; mv c -> a; mv b -> c; mv t -> b",
    bob="b=4",
    after="a=3, b=1, c=4",
)

# ---- a file in place of a folder, and the reverse

case("a file becomes a folder", "a=1", alice="rm a; a/x=2", after="a/x=2")
case("a folder becomes a file", "d/x=1", alice="rm d; d=2", after="d=2")
case("a file moves into a folder of its own name", "a=1", alice="mv a -> t; mv t -> a/a", after="a/a=1", sent=0)
case("a file moves out and takes its folder's name", "a/a=1", alice="mv a/a -> t; rm a; mv t -> a", after="a=1", sent=0)
case("a folder is replaced by what is in it", "d/d/x=1", alice="mv d/d -> t; rm d; mv t -> d", after="d/x=1", sent=0)
case(
    "file to folder here, edit there",
    "a=1",
    alice="rm a; a/x=2",
    bob="a=3",
    after="a (conflict bob)=3, a/x=2",
    bob_first="a=3, a (conflict alice)/x=2",
)
case(
    "folder to file here, edit there",
    "d/x=1",
    alice="rm d; d=2",
    bob="d/x=3",
    after="d=2, d (conflict bob)/x=3",
    bob_first="d/x=3, d (conflict alice)=2",
)
case(
    "folder to file here, add there",
    "d/x=1",
    alice="rm d; d=2",
    bob="d/n=3",
    after="d=2, d (conflict bob)/n=3",
    bob_first="d/n=3, d (conflict alice)=2",
)
case(
    "file to folder here, rename there",
    "a=1",
    alice="rm a; a/x=2",
    bob="mv a -> b",
    after="a/x=2",
    bob_first="a/x=2, b=1",
)
case("file to folder on both sides", "a=1", alice="rm a; a/x=2", bob="rm a; a/y=3", after="a/x=2, a/y=3")
case(
    "folder to file on both sides",
    "d/x=1",
    alice="rm d; d=2",
    bob="rm d; d=3",
    after="d=2, d (conflict bob)=3",
    bob_first="d=3, d (conflict alice)=2",
)

# ---- both change something, and both changes hold

case("two files are added", "", alice="a=1", bob="b=2", after="a=1, b=2")
case("two files of one folder are edited", "d/a=1, d/b=2", alice="d/a=3", bob="d/b=4", after="d/a=3, d/b=4")
case("renamed here, edited there", "a=1", alice="mv a -> b", bob="a=2", after="b=2")
case("renamed here, saved there as editors do", "a=1", alice="mv a -> b", bob="save a=2", after="b=2")
case("moved here, edited there", "a=1, d/", alice="mv a -> d/a", bob="a=2", after="d/a=2")
case("moved here, made executable there", "a=1, d/", alice="mv a -> d/a", bob="chmod +x a", after="d/a=1+x")
case("folder renamed here, file edited there", "d/a=1", alice="mv d -> e", bob="d/a=2", after="e/a=2")
case("folder renamed here, file added there", "d/a=1", alice="mv d -> e", bob="d/b=2", after="e/a=1, e/b=2")
case(
    "folder renamed here, folders added there",
    "d/a=1",
    alice="mv d -> e",
    bob="d/f/g/b=2; mkdir d/h",
    after="e/a=1, e/f/g/b=2, e/h/",
)
case("folder renamed here, file removed there", "d/a=1, d/b=2", alice="mv d -> e", bob="rm d/a", after="e/b=2")
case("folder renamed here, file in it renamed there", "d/a=1", alice="mv d -> e", bob="mv d/a -> d/b", after="e/b=1")
case("folder renamed here, file moved out there", "d/a=1", alice="mv d -> e", bob="mv d/a -> a", after="a=1, e/")
case(
    "folder renamed here, file moved in there", "d/a=1, b=2", alice="mv d -> e", bob="mv b -> d/b", after="e/a=1, e/b=2"
)
case(
    "an outer folder renamed here, an inner one there",
    "d/e/a=1",
    alice="mv d -> x",
    bob="mv d/e -> d/y",
    after="x/y/a=1",
)
case(
    "a folder moved into one that moves there",
    "a/x=1, b/y=2, c/",
    alice="mv a -> b/a",
    bob="mv b -> c/b",
    after="c/b/a/x=1, c/b/y=2",
)
case("edited here, removed from its folder there", "d/a=1, e/", alice="d/a=2", bob="mv d/a -> e/a; rm d", after="e/a=2")
case("a folder renamed, its name used anew there", "d/a=1", alice="mv d -> e", bob="d/b=2; d/a=3", after="e/a=3, e/b=2")
case("one renames, the other copies", "a=1", alice="mv a -> b", bob="cp a -> c", after="b=1, c=1")
case("both remove a file", "a=1, b=2", alice="rm a", bob="rm a", after="b=2")
case("both remove a folder", "d/a=1", alice="rm d", bob="rm d", after="")
case("one removes a folder, the other one in it", "d/e/a=1, d/b=2", alice="rm d", bob="rm d/e", after="")
case("both rename alike", "a=1", alice="mv a -> b", bob="mv a -> b", after="b=1")
case("both rename a folder alike", "d/a=1", alice="mv d -> e", bob="mv d -> e", after="e/a=1")
case("both edit to the same", "a=1", alice="a=2", bob="a=2", after="a=2")
case("both add the same", "", alice="a=1", bob="a=1", after="a=1")
case("both add the same empty file", "", alice="a=", bob="a=", after="a=")
case("both add the same tree", "", alice="d/a=1; d/e/b=2", bob="d/a=1; d/e/b=2", after="d/a=1, d/e/b=2")
case("both add a folder, with different files", "", alice="d/a=1", bob="d/b=2", after="d/a=1, d/b=2")
case("both make an empty folder", "", alice="mkdir d", bob="mkdir d", after="d/")
case("both make a file executable", "a=1", alice="chmod +x a", bob="chmod +x a", after="a=1+x")
case(
    "both add the same, one of them executable", "", alice="a=1", bob="a=1; chmod +x a", after="a=1", bob_first="a=1+x"
)

# ---- conflicts: every byte is kept, under the same name everywhere

case("both edit", "a=1", alice="a=2", bob="a=3", after="a=2, a (conflict bob)=3", bob_first="a=3, a (conflict alice)=2")
case(
    "both edit, keeping the extension",
    "plan.txt=1",
    alice="plan.txt=2",
    bob="plan.txt=3",
    after="plan.txt=2, plan (conflict bob).txt=3",
    bob_first="plan.txt=3, plan (conflict alice).txt=2",
)
case(
    "both edit a dotfile",
    ".rc=1",
    alice=".rc=2",
    bob=".rc=3",
    after=".rc=2, .rc (conflict bob)=3",
    bob_first=".rc=3, .rc (conflict alice)=2",
)
case(
    "both edit, one as editors do",
    "a=1",
    alice="a=2",
    bob="save a=3",
    after="a=2, a (conflict bob)=3",
    bob_first="a=3, a (conflict alice)=2",
)
case(
    "one empties, one edits",
    "a=1",
    alice="a=",
    bob="a=3",
    after="a=, a (conflict bob)=3",
    bob_first="a=3, a (conflict alice)=",
)
case(
    "one edits, one makes executable",
    "a=1",
    alice="a=2",
    bob="chmod +x a",
    after="a=2, a (conflict bob)=1+x",
    bob_first="a=1+x, a (conflict alice)=2",
)
case(
    "both edit in a folder that one renames",
    "d/a=1",
    alice="mv d -> e; e/a=2",
    bob="d/a=3",
    after="e/a=2, e/a (conflict bob)=3",
    bob_first="e/a=3, e/a (conflict alice)=2",
)
case(
    "one edits, one renames and edits: a new file, unless seen in between",
    "a=1",
    alice="a=2",
    bob="mv a -> b; b=3",
    after="a=2, b=3",
    bob_often="b=3, b (conflict alice)=2",
)
case(
    "both edit files in parts",
    "big=9000000*z",
    alice="big=9000000*x",
    bob="big=9000000*y",
    after="big=9000000*x, big (conflict bob)=9000000*y",
    bob_first="big=9000000*y, big (conflict alice)=9000000*x",
)
case(
    "both add another content",
    "",
    alice="a=1",
    bob="a=2",
    after="a=1, a (conflict bob)=2",
    bob_first="a=2, a (conflict alice)=1",
)
case(
    "both add, one of them empty",
    "",
    alice="a=",
    bob="a=2",
    after="a=, a (conflict bob)=2",
    bob_first="a=2, a (conflict alice)=",
)
case(
    "both add, in a folder that both make",
    "",
    alice="d/a=1",
    bob="d/a=2",
    after="d/a=1, d/a (conflict bob)=2",
    bob_first="d/a=2, d/a (conflict alice)=1",
)
case(
    "one adds a file, one a folder",
    "",
    alice="a=1",
    bob="a/x=2",
    after="a=1, a (conflict bob)/x=2",
    bob_first="a/x=2, a (conflict alice)=1",
)
case(
    "one adds a file, one an empty folder",
    "",
    alice="a=1",
    bob="mkdir a",
    after="a=1, a (conflict bob)/",
    bob_first="a/, a (conflict alice)=1",
)
case(
    "both remove and make again",
    "a=1",
    alice="rm a; a=2",
    bob="rm a; a=3",
    after="a=2, a (conflict bob)=3",
    bob_first="a=3, a (conflict alice)=2",
)
case(
    "the conflict's name is taken",
    "a=1, a (conflict 2026-11-23 bob)=0",
    alice="a=2",
    bob="a=3",
    after="a=2, a (conflict bob)=0, a (conflict bob 2)=3",
    bob_first="a=3, a (conflict alice)=2, a (conflict bob)=0",
)
case(
    "a name of 255 bytes in conflict",
    "n" * 255 + "=1",
    alice="n" * 255 + "=2",
    bob="n" * 255 + "=3",
    after=f"{'n' * 255}=2, {'n' * 229} (conflict bob)=3",
    bob_first=f"{'n' * 255}=3, {'n' * 227} (conflict alice)=2",
)

case("edited here, removed there", "a=1", alice="a=2", bob="rm a", after="a=2")
case("edited here, its folder removed there", "d/e/a=1, d/b=2", alice="d/e/a=3", bob="rm d", after="d/e/a=3")
case("added below a folder removed there", "d/a=1", alice="d/n=2", bob="rm d", after="d/n=2")
case("added deep below a folder removed there", "d/e/a=1", alice="d/e/f/n=2", bob="rm d", after="d/e/f/n=2")
case("an empty folder added below one removed there", "d/a=1", alice="mkdir d/n", bob="rm d", after="d/n/")
case("moved into a folder removed there", "d/a=1, b=2", alice="mv b -> d/b", bob="rm d", after="d/b=2")
case("a folder moved into one removed there", "d/a=1, e/b=2", alice="mv e -> d/e", bob="rm d", after="d/e/b=2")
case("moved out of a folder removed there", "d/a=1, d/b=2", alice="mv d/a -> a", bob="rm d", after="a=1", bob_first="")
case("renamed here, removed there", "a=1", alice="mv a -> b", bob="rm a", after="b=1", bob_first="")
case("renamed and edited here, removed there", "a=1", alice="mv a -> b; b=2", bob="rm a", after="b=2")
case("folder renamed here, removed there", "d/a=1", alice="mv d -> e", bob="rm d", after="e/a=1", bob_first="")
case(
    "folder renamed and added to here, removed there",
    "d/a=1",
    alice="mv d -> e; e/b=2",
    bob="rm d",
    after="e/a=1, e/b=2",
    bob_first="d/b=2",
)
case("swapped here, one removed there", "a=1, b=2", alice="swap a <-> b", bob="rm a", after="a=2, b=1", bob_first="a=2")
case("made executable here, removed there", "a=1", alice="chmod +x a", bob="rm a", after="a=1+x")
case("emptied here, removed there", "a=1", alice="a=", bob="rm a", after="a=")

case("renamed to two names", "a=1", alice="mv a -> b", bob="mv a -> c", after="b=1", bob_first="c=1")
case(
    "moved to two folders",
    "a=1, d/, e/",
    alice="mv a -> d/a",
    bob="mv a -> e/a",
    after="d/a=1, e/",
    bob_first="d/, e/a=1",
)
case(
    "a folder renamed to two names",
    "d/a=1",
    alice="mv d -> e; e/x=2",
    bob="mv d -> f; f/y=3",
    after="e/a=1, e/x=2, e/y=3",
    bob_first="f/a=1, f/x=2, f/y=3",
)
case(
    "two files renamed to one name",
    "a=1, b=2",
    alice="mv a -> c",
    bob="mv b -> c",
    after="c=1, c (conflict bob)=2",
    bob_first="c=2, c (conflict alice)=1",
)
case(
    "two folders renamed to one name",
    "a/x=1, b/y=2",
    alice="mv a -> c",
    bob="mv b -> c",
    after="c/x=1, c (conflict bob)/y=2",
    bob_first="c/y=2, c (conflict alice)/x=1",
)
case(
    "a file and a folder renamed to one name",
    "a=1, d/x=2",
    alice="mv a -> c",
    bob="mv d -> c",
    after="c=1, c (conflict bob)/x=2",
    bob_first="c/x=2, c (conflict alice)=1",
)
case(
    "two folders moved into each other",
    "a/x=1, b/y=2",
    alice="mv a -> b/a",
    bob="mv b -> a/b",
    after="b/a/x=1, b/y=2",
    bob_first="a/b/y=2, a/x=1",
)
case(
    "three folders moved into each other",
    "a/x=1, b/y=2, c/z=3",
    alice="mv a -> b/a",
    bob="mv b -> c/b",
    carol="mv c -> a/c",
    after="c/b/a/x=1, c/b/y=2, c/z=3",
)
case(
    "folders turned inside out in a new one, removed there",
    "c/d/d/x=1, c/d/y=2",
    alice="mv c/d/d -> a/a; mv c/d -> a/a/d; a/a/d/n=3",
    bob="rm c",
    after="a/a/d/n=3, a/a/d/y=2, a/a/x=1",
    bob_first="a/, c/d/n=3",
)
case(
    "folders turned inside out where others were swapped",
    "a/a/d/x=1, b/c/y=2",
    alice="swap b/c <-> a/a/d",
    bob="mv b/c -> t; mv a/a -> b/c; mv b/c/d -> b/c/b; mv a -> b/c/b/b; mv t -> b/c/b/b/a",
    after="b/c/b/a/d/y=2, b/c/x=1, b/c (2)/",
    bob_first="b/c/b/b/a/y=2, b/c/b/x=1",
)
case(
    "renamed onto a name added there",
    "a=1",
    alice="mv a -> b",
    bob="b=2",
    after="b=1, b (conflict bob)=2",
    bob_first="b=2, b (conflict alice)=1",
)
case(
    "renamed onto a name added there, with its bytes",
    "a=1",
    alice="mv a -> b",
    bob="b=1",
    after="b=1",
    bob_first="b=1, b (conflict alice)=1",
)
case(
    "a folder renamed onto one added there",
    "d/a=1",
    alice="mv d -> e",
    bob="e/b=2",
    after="e/a=1, e (2)/b=2",
    bob_first="e/b=2, e (conflict alice)/a=1",
)
case(
    "a folder renamed onto a file added there",
    "d/a=1",
    alice="mv d -> e",
    bob="e=2",
    after="e/a=1, e (conflict bob)=2",
    bob_first="e=2, e (conflict alice)/a=1",
)
case(
    "a file renamed over one that is edited there",
    "a=1, b=2",
    alice="mv a -> b",
    bob="b=3",
    after="b=1, b (conflict bob)=3",
    bob_first="b=3, b (conflict alice)=1",
)
case("a file put where one was renamed from", "a=1", alice="mv a -> b", bob="a=2; c=3", after="b=2, c=3")

# ---- three people

case(
    "three edit",
    "a=1",
    alice="a=2",
    bob="a=3",
    carol="a=4",
    after="a=2, a (conflict bob)=3, a (conflict carol)=4",
    bob_first="a=3, a (conflict alice)=2, a (conflict carol)=4",
)
case(
    "three add",
    "",
    alice="a=1",
    bob="a=2",
    carol="a=3",
    after="a=1, a (conflict bob)=2, a (conflict carol)=3",
    bob_first="a=2, a (conflict alice)=1, a (conflict carol)=3",
)
case("three add the same", "", alice="a=1", bob="a=1", carol="a=1", after="a=1")
case("one renames, one edits, one removes", "a=1", alice="mv a -> b", bob="a=2", carol="rm a", after="b=2")
case(
    "a folder: one renames, one adds, one removes",
    "d/a=1",
    alice="mv d -> e",
    bob="d/b=2",
    carol="rm d",
    after="e/a=1, e/b=2",
)
case(
    "a ring, with an edit and a file added in it",
    "a/x=1, b/y=2",
    alice="swap a <-> b",
    bob="a/x=3",
    carol="b/n=4",
    after="a/n=4, a/y=2, b/x=3",
)
case(
    "renamed to three names", "a=1", alice="mv a -> b", bob="mv a -> c", carol="mv a -> d", after="b=1", bob_first="c=1"
)

# ---- names and paths

case("a name of 255 bytes", "", alice="n" * 255 + "=1", after="n" * 255 + "=1")
case("a name of 255 bytes that are 85 characters", "", alice="\u20ac" * 85 + "=1", after="\u20ac" * 85 + "=1")
case("a path of 1,024 bytes", "", alice=("d" * 203 + "/") * 5 + "abcd=1", after=("d" * 203 + "/") * 5 + "abcd=1")
case("a hundred folders deep", "", alice="d/" * 100 + "a=1", after="d/" * 100 + "a=1")
case("a dot or space at the end", "", alice="a.=1; b =2; c . =3", after="a.=1, b =2, c . =3")
case("a space or dots at the beginning", "", alice=" a=1; ..b=2; ...=3", after=" a=1, ..b=2, ...=3")
case(
    "control characters and newlines", "", alice="a\nb=1; \x01\x1b[0m=2; \t\r=3", after="a\nb=1, \x01\x1b[0m=2, \t\r=3"
)
case("dotfiles", "", alice=".a=1; .d/.b=2; .git/HEAD=3", after=".a=1, .d/.b=2, .git/HEAD=3")
case(
    "names that only some systems can hold",
    "",
    alice="con=1; a:b=2; a?*<>|=3; back\\slash=4",
    after="con=1, a:b=2, a?*<>|=3, back\\slash=4",
)
case("names that differ by case only", "", alice="a=1; A=2; d/x=3; D/x=4", after="A=2, D/x=4, a=1, d/x=3")
case("names in NFC", "", alice="caf\u00e9/\u00fc=1", after="caf\u00e9/\u00fc=1")
case("names in NFD", "", alice="cafe\u0301/u\u0308=1", after="caf\u00e9/\u00fc=1")
case("one adds in NFC, one in NFD, the same", "", alice="caf\u00e9=1", bob="cafe\u0301=1", after="caf\u00e9=1")
case(
    "one adds in NFC, one in NFD, another content",
    "",
    alice="\u00e9=1",
    bob="e\u0301=2",
    after="\u00e9=1, \u00e9 (conflict bob)=2",
    bob_first="\u00e9=2, \u00e9 (conflict alice)=1",
)
case("a folder in NFC here and NFD there", "", alice="\u00e9/a=1", bob="e\u0301/b=2", after="\u00e9/a=1, \u00e9/b=2")
case("renamed from NFC to NFD: the same name", "\u00e9=1", alice="mv \u00e9 -> e\u0301", after="\u00e9=1", sent=0)
case(
    "renamed from NFC to NFD here, edited there",
    "\u00e9=1",
    alice="mv \u00e9 -> e\u0301",
    bob="\u00e9=2",
    after="\u00e9=2",
)
case(
    "emoji and other scripts",
    "",
    alice="\U0001f469\u200d\U0001f4bb=1; \u65e5\u672c/\u0645=2",
    after="\U0001f469\u200d\U0001f4bb=1, \u65e5\u672c/\u0645=2",
)
case(
    "a name that looks like a conflict copy",
    "",
    alice="a (conflict 2020-01-01 bob)=1",
    after="a (conflict 2020-01-01 bob)=1",
)
case("a rename to a name of 255 bytes", "a=1", alice="mv a -> " + "n" * 255, after="n" * 255 + "=1", sent=0)
