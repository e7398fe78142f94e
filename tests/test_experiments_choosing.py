# Generated from nbs/13_experiments/21_choosing.ipynb by `make export`. Edit the notebook, not this file.

import torch
from milan.experiments.choosing import (
    by_eye,
    captioning_cost,
    commonest_colour,
    compared_truth,
    cpu_seconds,
    detection,
    detection_judges,
    empty_results,
    furthest_ahead,
    held_out_truth,
    naming_cost,
    OfRandomSets,
    picture_costs,
    plot_silence,
)
import pytest

import functools

import numpy as np
import pandas as pd
from fastcore.test import test_close, test_eq

from milan.experiments.truth import captioned, discovery_captioner, named, probed
from milan.gallery import rating


@functools.cache
def planted(): # generated scenes, units with known concepts, and what two describers say of them
    units = probed(shapes=True)
    tables = {'concepts': named(units.assessed['units']), 'planted': units.table(units.truth)}
    return units, tables


# 21_choosing.ipynb, section "What it costs"
def test_what_it_costs():
    with empty_results() as folder:
        seconds, total = cpu_seconds(lambda: sum(range(200_000)))
    test_eq(total, 19999900000)
    assert 0 < seconds < 5 and not folder.exists()


# 21_choosing.ipynb, section "What it costs"
@pytest.mark.slow
@pytest.mark.training
def test_what_it_costs_slow():
    units, _ = planted()
    spent = picture_costs(units, 80, 4) | {'naming': naming_cost(units),
                                           'captioner': captioning_cost(units, discovery_captioner(units), 1)}
    assert all(0 < seconds < 5 for seconds in spent.values())
    list(spent)


# 21_choosing.ipynb, section "A describer of one's own"
def test_a_describer_of_one_s_own():
    from types import SimpleNamespace

    pictures, masks = torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 8)
    pictures[:, 0, :4], pictures[:, 2, 4:], masks[:, :, :4] = 1, 1, 1 # red above, blue below
    test_eq(commonest_colour(SimpleNamespace(images=pictures, masks=masks)), 'red things')
    test_eq(commonest_colour(SimpleNamespace(images=pictures, masks=1 - masks)), 'blue things')


# 21_choosing.ipynb, section "Sets that have nothing in common"
@pytest.mark.slow
@pytest.mark.training
def test_sets_that_have_nothing_in_common_slow():
    units, _ = planted()
    captioner = discovery_captioner(units)
    real, dealt = (captioned(units, one, which) for one, which in ((captioner, 'units'),
                                                                   (OfRandomSets(captioner), 'dealt')))
    spoken = pd.DataFrame({name: {who: (table.description != '').mean() for who, table in tables.items()}
                           for name, tables in (('units', real), ('random sets', dealt))})
    assert spoken.loc['verified captioner', 'random sets'] < .1 < spoken.loc['verified captioner', 'units']
    spoken.round(2)


# 21_choosing.ipynb, section "True of the same units"
@pytest.mark.slow
@pytest.mark.training
def test_true_of_the_same_units_slow():
    units, tables = planted()
    found = compared_truth(units, tables['planted'], tables['concepts'])
    active, said = held_out_truth(units, tables['planted'])
    test_close((active**2).sum(0), np.ones(len(units.observed.units)))
    assert found['low'] <= found['difference'] <= found['high'] and found['n'] > 10
    test_eq(compared_truth(units, tables['planted'], tables['planted'])['difference'], 0)
    pd.Series(found).round(2)


# 21_choosing.ipynb, section "What judges say"
@pytest.mark.slow
@pytest.mark.training
def test_what_judges_say_slow():
    units, tables = planted()
    rows = {}
    for name, (judge, asked) in detection_judges(units).items():
        for who, table in tables.items():
            found = detection(judge, asked, table)
            rows[name, who] = found[['own', 'dealt']].mean()
    scores = pd.DataFrame(rows).T
    assert scores.own.min() > .65 and scores.dealt.between(.3, .6).all()
    scores.round(2)


# 21_choosing.ipynb, section "What people, or those who stand in for them, said"
def test_what_people_or_those_who_stand_in_for_them_said():
    from milan.experiments.records import committed_reports

    session = committed_reports()/'describe_a_network'/'rating'
    cards = rating.read_cards(session).merge(rating.read_key(session), on='card')
    names = cards[(cards.describer == 'concepts') & ~cards.decoy.astype(bool)] # what was rated
    rated = by_eye(session, 'concepts', names)
    assert rated['same'] == 1 and rated['decoys'] < rated['right'] and by_eye(session, 'nobody', names) == {}
    pd.Series(rated).round(2)


# 21_choosing.ipynb, section "Evidence against silence"
def test_evidence_against_silence():
    rows = pd.DataFrame({'describer': ['careful', 'talkative', 'one for all'], 'described': [.4, 1, 1],
                         'value': [.4, .12, .02], 'low': [.36, .1, 0], 'high': [.43, .14, .04],
                         'null': [False, False, True]})
    plot_silence(rows)


# 21_choosing.ipynb, section "Where describers disagree"
def test_where_describers_disagree():
    scores = pd.DataFrame({'one': [.5, .4, np.nan], 'other': [.1, .3, .2]})
    test_eq(furthest_ahead(scores), {'one': 0, 'other': 2})
    furthest_ahead(scores)
