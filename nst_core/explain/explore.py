"""The network, looked at layer by layer and channel by channel: what a click on the page asks for.

    for section in explore("photo.jpg", Unit("block3_conv2"), {"Castle": "castle.jpg"}):
        show(section)  # the last one is complete

After Zeiler and Fergus (2014): what a channel stands for is seen in the places that excite it most.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import NamedTuple

from nst_core.explain import maps
from nst_core.explain.maps import NETWORK
from nst_core.explain.parts import Figure, Grid, Network, Paragraph, Part, Pointing, Section, Words
from nst_core.pictures import images
from nst_core.pictures.images import ImageSource, Picture
from nst_core.sentence import Sentence
from nst_core.settings import one_of, unwanted
from nst_core.stop import StopToken

SIZE = 160  # px, the long side of all pictures, so that one place is as large as another
MAPS = 8  # of the layer
PLACES = 4  # of the photo
BEST = 8  # of all examples
SHOW_EVERY = 4  # examples, between two answers

VGG_16 = Sentence(
    "VGG-16 is a network that has learned to name what photos show: 13 layers in five blocks, one "
    "after another. Each layer makes a stack of small pictures, its channels, and each channel "
    "looks for one kind of thing."
)
SOURCE = Sentence(
    "B. Caruntu, Neural Style Transfer (the course paper), figures 7 to 10; Simonyan and Zisserman "
    "2015; Zeiler and Fergus 2014"
)
WORDS = Words(
    Sentence("What VGG-16 sees"),
    Sentence(
        "Click a layer: its strongest channels are shown, white where the photo excites them. Click"
        " a place of the photo, and you see how much of it one position of that layer sees. Click a"
        " channel, and you see what it stands for: first edges and colours, then textures, then "
        "things."
    ),
    SOURCE,
)


class Unit(NamedTuple):
    """A layer of the network, and one of its channels, or whichever the photo excites most."""

    layer: str
    channel: int | None = None

    def spell(self) -> str:
        """As a text that `parse` reads."""
        return self.layer if self.channel is None else f"{self.layer}/{self.channel}"

    @classmethod
    def parse(cls, text: str) -> Unit:
        """A unit from its text, like "block3_conv2/12"; raises `SettingsError` for any other."""
        layer, _, channel = text.partition("/")
        if layer not in NETWORK.names:
            raise unwanted("layer", layer, one_of(NETWORK.names))
        if not channel:
            return cls(layer)
        count = NETWORK[layer].channels
        if not re.fullmatch("[0-9]{1,4}", channel) or int(channel) >= count:
            wanted = Sentence("a whole number below {count}", count=count)
            raise unwanted("channel", channel, wanted)
        return cls(layer, int(channel))


FIRST = Unit("block1_conv2")  # what is shown before anything was clicked


class Seen(NamedTuple):
    """A picture and its place that excites a channel most."""

    picture: Picture
    caption: str
    place: maps.Place


def explore(
    photo: ImageSource,
    unit: Unit,
    examples: Mapping[str, ImageSource],
    stop: StopToken | None = None,
) -> Generator[Section, None, None]:
    """What a layer makes of a photo, and what one of its channels stands for.

    Args:
        photo: as `images.load` takes it.
        unit: without a channel, the one that the photo excites most.
        examples: other pictures to look for the channel in, by what they are called.
        stop: ends the work within a picture.

    Yields the section as it grows, complete at last unless it was told to stop.
    Raises `ImageError` for a picture that cannot be used.
    """
    stop = stop or StopToken()
    parts, channel = _in_the_photo(images.load(photo, SIZE), unit)
    yield Section(WORDS, parts)
    seen: list[Seen] = []
    for number, (caption, source) in enumerate(examples.items(), start=1):
        if stop.is_set():
            return
        picture = images.load(source, SIZE)
        place = maps.peaks(picture)[unit.layer].of(unit.layer, channel, picture.rgb.shape[1:3])
        seen = sorted([*seen, Seen(picture, caption, place)], key=_strength)[:BEST]
        if number % SHOW_EVERY == 0 or number == len(examples):
            yield Section(WORDS, (*parts, *_in_examples(seen, number)))


def _strength(seen: Seen) -> float:
    return -seen.place.feature


def _in_the_photo(photo: Picture, unit: Unit) -> tuple[tuple[Part, ...], int]:
    """What there is to see of the photo, and the number of the channel that is looked at."""
    layer, size = unit.layer, photo.rgb.shape[1:3]
    found = maps.features(photo.rgb, [layer])[layer]
    strongest = maps.strongest(found, MAPS)
    channel = strongest[0].channel if unit.channel is None else unit.channel
    if channel not in [one.channel for one in strongest]:
        strongest = [*strongest[:-1], maps.feature_map(found, channel)]
    pixels = images.to_uint8(photo.rgb)
    figures = tuple(
        Figure(
            one.image,
            channel_name(one.channel),
            Unit(layer, one.channel).spell(),
            one.channel == channel,
        )
        for one in strongest
    )
    places = maps.most_excited(found, layer, channel, size, PLACES)
    crops = tuple(
        Figure(place.box.of(pixels), f"{number}") for number, place in enumerate(places, start=1)
    )
    parts = (
        Network(NETWORK.layers, layer),
        description(layer),
        Pointing(pixels, *maps.spans(layer, size)),
        Grid(figures, MAPS, is_coarse=True),
        Paragraph(Sentence("What excites channel {number} most in the photo:", number=channel)),
        Grid(crops, BEST, is_coarse=True),
    )
    return parts, channel


def _in_examples(seen: list[Seen], count: int) -> tuple[Part, ...]:
    figures = tuple(
        Figure(one.place.box.of(images.to_uint8(one.picture.rgb)), one.caption) for one in seen
    )
    text = Sentence("And in {count} example pictures, the strongest first:", count=count)
    return Paragraph(text), Grid(figures, BEST, is_coarse=True)


def description(layer: str) -> Paragraph:
    """What a layer is like, in numbers."""
    described = NETWORK[layer]
    return Paragraph(
        Sentence(
            "{layer}: {channels} channels, a position every {stride} px, each sees {field} x "
            "{field} px.",
            layer=layer,
            channels=described.channels,
            stride=described.stride,
            field=described.stride + 2 * described.halo,
        )
    )


def channel_name(number: int) -> Sentence:
    """What a channel is called."""
    return Sentence("channel {number}", number=number)
