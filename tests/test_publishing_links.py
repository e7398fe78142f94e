# Generated from nbs/14_publishing/08_links.ipynb by `make export`. Edit the notebook, not this file.

from pathlib import Path
from milan.publishing.links import (
    _fault,
    broken,
    PageReader,
)

import tempfile

from fastcore.test import test_eq


# 08_links.ipynb, section "Broken pages"
def test_broken_pages():
    read = PageReader('<h1 id="top">A</h1><a href="b.html">b</a><pre>| x |</pre>')
    test_eq((list(read.links), read.anchors), ([('a', 'b.html')], {'top'}))
    read.lines

    test_eq(_fault('a', '#end', Path('a.html').resolve(), {}), ['has a link that leads nowhere: #end'])

    page_of = Path(tempfile.mkdtemp())
    (page_of / 'a.html').write_text(
        '<h1 id="top">A</h1><a href="#top">up</a><a href="b.html#end">b</a><a'
        ' href="https://example.org/x">out</a><img src="gone.png"><a href="c.ipynb">c</a><a'
        ' href="d.html">d</a><p>| a | b |\n|---|---|\n| 1 | 2 |</p><pre>| x | y |</pre>'
    )
    (page_of/'b.html').write_text('<p>B</p>')
    (page_of/'c.ipynb').write_text('{}')
    broken(page_of)

    test_eq(len(broken(page_of)), 5)
    for said in ('| a | b |', 'picture that leads nowhere: gone.png', 'd.html', 'not to its page: c.ipynb',
                 'section that does not exist: b.html#end'):
        assert any(said in line for line in broken(page_of)), said

    (page_of/'a.html').unlink()
    test_eq(broken(page_of), [])
