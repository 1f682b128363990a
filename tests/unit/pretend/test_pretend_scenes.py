# SPDX-License-Identifier: Apache-2.0
"""Drawing: the same moment looks the same, different moments differ, night is dark, the clock is burnt in."""

from __future__ import annotations

import numpy as np
import pytest

from closedcircuit.base import TICKS
from closedcircuit.pretend.artist import SceneArtist
from closedcircuit.pretend.backdoor import BackDoor
from closedcircuit.pretend.bar import bar_height, read_bar
from closedcircuit.pretend.carpark import CarPark
from closedcircuit.pretend.daylight import DAY_S, daylight
from closedcircuit.pretend.fakes import YardScene
from closedcircuit.pretend.lens import Lens, coverage
from closedcircuit.pretend.lettering import text_width, write
from closedcircuit.pretend.scene import Scene, Stop, Walk, anybody
from closedcircuit.pretend.shopfloor import ShopFloor
from closedcircuit.pretend.stage import Light, Stage, develop, shade, to_yuv
from closedcircuit.pretend.till import Till

BEGAN = 1_800_000_000 * TICKS
SIZE = (320, 180)


def artist(scene: Scene) -> SceneArtist:
    made = SceneArtist(scene, "test", SIZE, BEGAN)
    made.prepare(coarse=False)
    return made


def planes(scene: Scene, elapsed_s: float, frame: int = 100) -> np.ndarray:
    picture = artist(scene).draw(frame, BEGAN + int(elapsed_s * TICKS))
    return np.concatenate([picture.y.ravel(), picture.u.ravel(), picture.v.ravel()])


@pytest.mark.parametrize("scene", [ShopFloor, Till, CarPark, BackDoor])
def test_the_same_moment_looks_the_same(scene: type[Scene]):
    here = planes(scene(), 95.0)
    assert np.array_equal(here, planes(scene(), 95.0))
    later = planes(scene(), 101.0)
    assert not np.array_equal(here, later)


def test_what_came_before_changes_nothing():
    one = artist(YardScene())
    for number in range(40):
        one.draw(number, BEGAN + number * 7200)
    again = one.draw(1000, BEGAN + 60 * TICKS).y
    assert np.abs(again.astype(int) - artist(YardScene()).draw(1000, BEGAN + 60 * TICKS).y).mean() < 0.5


@pytest.mark.parametrize("scene", [ShopFloor, Till, CarPark, BackDoor])
def test_night_is_dark(scene: type[Scene]):
    drawn = artist(scene())
    day, night = (drawn.draw(5, BEGAN + s * TICKS).y[30:-30].mean() for s in (60, 800))
    assert night < day - 20


def test_a_whole_pretend_day_adds_up():
    for second in range(0, int(DAY_S), 7):
        shares = daylight(second)
        assert sum(shares) == pytest.approx(1.0)
        assert min(shares) >= 0
    assert daylight(0) == (1.0, 0.0, 0.0)
    assert daylight(DAY_S * 0.75) == (0.0, 0.0, 1.0)
    assert daylight(DAY_S + 3) == daylight(3)


@pytest.mark.parametrize("scene", [ShopFloor, Till, CarPark, BackDoor])
def test_something_happens_within_a_minute(scene: type[Scene]):
    made = scene()
    busy = [bool(made.cast(float(s), 0.0).people or made.cast(float(s), 0.0).cars) for s in range(60, 180)]
    assert sum(busy) > 20


def test_the_strip_and_the_clock_are_on_every_picture():
    drawn = artist(YardScene())
    picture = drawn.draw(4711, BEGAN + 33 * TICKS)
    expected = (4711, (BEGAN + 33 * TICKS) // 90 % 2**28)
    assert read_bar(picture.y) == expected
    assert read_bar(picture.rgb()) == expected
    small = drawn.smaller(picture, 160, 90)
    assert read_bar(small.y) == expected
    assert (picture.u[-(bar_height(180) // 2) :] == 128).all()
    other = drawn.draw(4711, BEGAN + 33 * TICKS + TICKS // 10)
    assert not np.array_equal(picture.y[9:27, 9:300], other.y[9:27, 9:300])


def test_a_coarse_picture_comes_first_and_the_sharp_one_follows():
    drawn = SceneArtist(YardScene(), "test", (640, 360), BEGAN)
    drawn.prepare()
    try:
        assert read_bar(drawn.draw(1, BEGAN).y) is not None
        drawn._backdrop._painter.join()
        sharp = drawn.draw(1, BEGAN).y[20:200]
        whole = SceneArtist(YardScene(), "test", (640, 360), BEGAN)
        whole.prepare(coarse=False)
        assert np.array_equal(sharp, whole.draw(1, BEGAN).y[20:200])
    finally:
        drawn.close()


def test_a_walk_goes_from_stop_to_stop():
    walk = Walk((Stop(0, 0, 2.0), Stop(10, 0, 3.0, 1.5, 1.0), Stop(10, 5)), 1.0)
    look = anybody("x")
    assert walk.at(-0.1, look) is None
    assert walk.at(walk.length_s + 0.1, look) is None
    waiting, going, there = walk.at(1.0, look), walk.at(7.0, look), walk.at(13.5, look)
    assert waiting is not None
    assert waiting.at[:2] == (0.0, 0.0)
    assert waiting.pose.stride == 0.0
    assert going is not None
    assert going.at[:2] == pytest.approx((5.0, 0.0))
    assert going.pose.stride == pytest.approx(1.0)
    assert going.heading == pytest.approx(0.0)
    assert there is not None
    assert there.heading == pytest.approx(1.5)
    assert there.pose.reach > 0.5


def test_a_lens_puts_what_it_looks_at_into_the_middle():
    lens = Lens((0, 0, 3), (2, 8, 1), 60, (640, 360))
    flat, away = lens.project(np.array([(2.0, 8.0, 1.0), (2.0, 8.0, 2.0)]))
    assert flat[0] == pytest.approx((320, 180))
    assert flat[1, 1] < 180
    ray = lens.rays(np.array([320.0]), np.array([180.0]))[:, 0]
    assert lens.eye + ray * away[0] == pytest.approx((2, 8, 1), abs=1e-4)


def test_coverage_adds_up_to_the_area():
    square = np.array([(2.25, 3.0), (10.75, 3.0), (10.75, 9.5), (2.25, 9.5)])
    xs, ys = np.arange(14) + 0.5, np.arange(14) + 0.5
    assert coverage(square, xs, ys).sum() == pytest.approx(8.5 * 6.5, abs=0.4)
    assert coverage(square[::-1], xs, ys).sum() == pytest.approx(8.5 * 6.5, abs=0.4)


def test_nearer_faces_hide_farther_ones_in_any_order():
    def paint(order: int) -> Stage:
        stage = Stage(Lens((0, -4, 1), (0, 0, 1), 60, (64, 36)))
        faces = [
            (np.array([(-1, y, 0), (1, y, 0), (1, y, 2), (-1, y, 2)], float), colour)
            for y, colour in ((0.0, shade("#ff0000")), (2.0, shade("#0000ff")))
        ]
        for corners, colour in faces[::order]:
            stage.face(corners, colour)
        return stage

    for order in (1, -1):
        stage = paint(order)
        assert stage.albedo[:, 18, 32] == pytest.approx((1, 0, 0))
        assert stage.depth[18, 32] == pytest.approx(4.0, abs=0.01)


def test_white_in_full_light_is_bright_and_black_stays_black():
    stage = Stage(Lens((0, 0, 3), (0, 0.1, 0), 60, (64, 36)))
    stage.face(np.array([(-9, -9, 0), (0, -9, 0), (0, 9, 0), (-9, 9, 0)], float), (1.0, 1.0, 1.0))
    stage.face(np.array([(0, -9, 0), (9, -9, 0), (9, 9, 0), (0, 9, 0)], float), (0.0, 0.0, 0.0))
    lit = stage.lit(Light(sky=(0.7, 0.7, 0.7), ground=(0, 0, 0)), (0, 36))
    assert lit[:, 18, 16].min() > 0.75
    assert lit[:, 18, 48].max() < 0.05


def test_colours_keep_their_hue_in_yuv():
    rgb = np.zeros((3, 4, 4), np.float32)
    rgb[0] = 1.0
    y, u, v = to_yuv(rgb)
    assert (int(y[0, 0]), int(u[0, 0]), int(v[0, 0])) == (63, 102, 240)  # BT.709 red
    grey = to_yuv(develop(np.full((3, 8, 8), 0.2, np.float32)))
    assert set(grey[1].ravel()) == {128}


def test_letters_are_white_with_a_dark_rim():
    y = np.full((40, 200), 120, np.uint8)
    after = write(y, "A1", (4, 4), 30)
    assert after == 4 + text_width("A1", 30)
    assert y.max() > 220
    assert y.min() < 80
    assert (y[:, after:] == 120).all()
