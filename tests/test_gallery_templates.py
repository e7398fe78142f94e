# Generated from nbs/12_gallery/08_templates.ipynb by `make export`. Edit the notebook, not this file.

from jinja2 import Environment
from milan.gallery.templates import (
    _PAGE,
    Card,
    SCRIPT,
    slug,
    Strip,
    STYLE,
    templates,
)


# 08_templates.ipynb, section "What a page shows of a unit"
def test_what_a_page_shows_of_a_unit():
    Card('conv1', 3, 'dots', ['score 0.51'])


# 08_templates.ipynb, section "Look and behaviour"
def test_look_and_behaviour():
    assert 'http' not in STYLE
    STYLE.count('\n')

    assert 'http' not in SCRIPT
    SCRIPT.count('\n')


# 08_templates.ipynb, section "The templates"
def test_the_templates():
    print(Environment(autoescape=True).from_string(_PAGE).render(title='a < b', home='../'))

    assert len({slug('a/b'), slug('a_b'), slug('a.b'), slug('..')}) == 4 and '/' not in slug('../x')

    card = Card('conv1', 3, 'dots & <b>', ['score 0.51'], strip=Strip('3.jpg', (9, 9)),
                 further=[Strip('3-first.jpg', (9, 9), 'first meaning: 3 of 5 exemplars')])
    print(templates().get_template('card').render(card=card, shown=8))

    page = templates().get_template('layer').render(
        title='Units', layer='conv1', layers=['conv1', 'conv2'], numbers=['score'], cards=[], shown=3, home='')
    assert '<b>conv1</b>' in page and '<option value="0">score</option>' in page
    page = templates().get_template('index').render(
        title='Units', note='', units=1, layers={'conv1': [card]}, megabytes=.1, home='')
    assert '1 units in 1 layers' in page and page.count('<img') == 1
