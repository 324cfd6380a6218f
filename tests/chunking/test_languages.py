"""One small source a language, and exactly the chunks that it must give."""

from __future__ import annotations

import pytest

from cia.chunking import Chunk, chunk_file
from cia.settings import ChunkingSettings

Expected = list[tuple[int, int, str, str]]


def chunks_of(path: str, source: str) -> list[Chunk]:
    return chunk_file(path, source.encode(), ChunkingSettings())


def outline(chunks: list[Chunk]) -> Expected:
    return [(chunk.line_start, chunk.line_end, chunk.kind, chunk.symbol) for chunk in chunks]


PYTHON = '''"""Baskets."""

import os

DEFAULT_SIZE = 8


@dataclass
class Basket(Base, abc.Sized, metaclass=Meta):
    """Holds goods."""

    size: int = 3

    @property
    def total(self) -> int:  # in cents
        """The sum of all prices."""

        def price(item):
            return item.price

        return sum(price(item) for item in self.items)


async def load(
    path: str,
) -> Basket:
    return Basket(await os.read(path))


if DEBUG:

    def trace():
        pass
'''

GO = """// Package web serves pages.
package web

import "fmt"

const DefaultPort = 8080

// Server serves requests.
// It is safe.
type Server struct {
	http.Handler
	port int
}

type (
	// Option configures.
	Option func(*Server)
	Closer interface{ Close() error }
)

// Serve answers.
func (s *Server[T]) Serve(ctx context.Context) error {
	return s.listen(fmt.Sprint(s.port))
}

func New() *Server { return &Server{} }
"""

JAVA = """package shop;

import java.util.List;

/** A basket of goods. */
@Entity
public class Basket<T> extends Base<T> implements Priced, Serializable {
    private List<T> items;

    public Basket() {
        super();
    }

    /**
     * Adds an item.
     */
    @Override
    public void add(T item) {
        items.add(item);
    }

    interface Visitor {
        void visit(Basket<?> basket);
    }
}
"""

JAVASCRIPT = """'use strict';

const http = require('http');

/** Adds two. */
const add = (a, b) => a + b;

exports.twice = function (f) {
  return f(f());
};

/**
 * Sends.
 */

Response.prototype.send = function send(body) {
  this.end(body);
};

class Queue extends events.EventEmitter {
  push(item) {
    this.items.push(item);
  }

  #drain = () => {
    this.emit('drain');
  };
}

const api = {
  get(url) {
    return fetch(url);
  },
  post: async (url) => {
    return fetch(url);
  },
};

export default function () {
  return new Queue();
}
"""

TYPESCRIPT = """import { x } from './x';

/** How to connect. */
export interface Options extends Base {
  port: number;
}

export type Handler = (r: Request) => Response;

@Injectable()
export class Service<T> extends Parent<T> implements OnInit {
  constructor(private readonly http: Http) {
    super();
  }

  /** Starts. */
  @HostListener('load')
  async start(): Promise<void> {
    await this.http.get('/');
  }
}

namespace Shapes {
  export function area(s: Shape): number {
    return s.area();
  }
}

export const useThing = create<State>((set) => ({
  a: 1,
  b: 2,
}));
"""

TSX = """export const Button = ({ label }: Props) => {
  return <button onClick={() => press(label)}>{label}</button>;
};
"""

RUST = """//! Caches.
use std::fmt;

const SIZE: usize = 8;

/// A cache.
#[derive(Debug)]
pub struct Cache<K> {
    map: Map<K>,
}

impl<K: Hash> Cache<K> {
    /// Makes one.
    pub fn new() -> Self {
        Self { map: Map::new() }
    }
}

impl<K> fmt::Display for Cache<K> {
    fn fmt(&self, f: &mut Formatter) -> Result {
        write!(f, "{}", self.size())
    }
}

pub trait Store: Send + Sync {
    fn put(&mut self, k: u8);
}
"""

C = """#include <stdio.h>

#define LIMIT 10

/* A point. */
typedef struct {
    int x, y;
} Point;

/*
 * Returns the length,
 * in nodes.
 */
size_t length(const struct list *l);

#ifdef DEBUG
static void
dump(const struct list *l)
{
    printf("%p", l);
}
#endif

static char *(*chooser(int kind))(char *)
{
    return kind ? first : second;
}
"""

CPP = """#include <vector>

namespace geo {

/// A shape.
class Shape : public Base, private Other<int> {
public:
    virtual ~Shape() {}
    virtual double area() const = 0;
};

template <typename T>
T largest(const std::vector<T>& v) {
    return *std::max_element(v.begin(), v.end());
}

bool Shape::operator==(const Shape& other) const {
    return sides_ == other.sides_;
}

Shape::Shape() : sides_(0) {}

}  // namespace geo
"""

CSHARP = """using System;

namespace Shop.Core;

/// <summary>A basket of <see cref="Item"/>.</summary>
[Serializable]
public class Basket : Base<int>, IPriced
{
    public int Count { get; set; }

    public Basket() : base() { }

    [Obsolete]
    public void Add(Item item)
    {
        items.Add(item);
    }

    public int Total
    {
        get { return items.Sum(); }
    }

    private record Line(int A);
}
"""

RUBY = """require "set"

module Shop
  # A basket.
  class Basket < Base::Thing
    # Adds an item.
    # Twice.
    def add(item)
      items.push(item)
    end

    def self.build = new

    private def secret
      1
    end
  end
end
"""

PHP = """<?php
namespace Shop\\Core;

const LIMIT = 3;

/** A basket. */
#[Entity]
final class Basket extends Base implements Priced
{
    /** Adds. */
    public function add(Item $item): void
    {
        $this->items->push($item);
    }
}

function total(array $xs) { return array_sum($xs); }
"""

BASH = """#!/usr/bin/env bash
set -e

# Builds it.
build() {
  make all
}

function deploy {
  build && scp a b
}

deploy "$@"
"""

KOTLIN = """import a.b

/** A basket. */
class Basket(val size: Int) : Base(), Priced {
    /** Adds. */
    fun add(item: Item): Int {
        return items.add(item)
    }
}

fun String.shout() = uppercase()
"""

SWIFT = """/// A basket.
class Basket: Base, Priced {
    init(size: Int) {
        self.size = size
    }
}

extension Basket {
    func clear() {}
}
"""

SCALA = """package shop

/** A basket. */
class Basket(size: Int) extends Base with Priced {
  /** Adds. */
  def add(item: Item): Int = items.add(item)
}
"""

LUA = """local M = {}

-- Adds.
function M.add(a, b)
  return a + b
end

function M:total()
  return sum(self)
end
"""

SQL = """-- All goods.
CREATE TABLE IF NOT EXISTS shop.goods (
    id int
);

CREATE VIEW cheap AS SELECT * FROM shop.goods;
"""

PROTO = """syntax = "proto3";

// A basket.
message Basket {
  int32 size = 1;
}

service Shop {
  // Adds.
  rpc Add(Item) returns (Basket);
}
"""

CASES: dict[str, tuple[str, Expected]] = {
    "basket.py": (
        PYTHON,
        [
            (1, 2, "module", ""),
            (3, 4, "module", ""),
            (5, 7, "module", "DEFAULT_SIZE"),
            (8, 21, "class", "Basket"),
            (14, 21, "function", "Basket.total"),
            (24, 27, "function", "load"),
            (30, 31, "module", ""),
            (32, 33, "function", "trace"),
        ],
    ),
    "web.go": (
        GO,
        [
            (1, 5, "module", ""),
            (6, 7, "module", "DefaultPort"),
            (8, 13, "class", "Server"),
            (15, 15, "module", ""),
            (16, 17, "class", "Option"),
            (18, 19, "class", "Closer"),
            (21, 24, "function", "Server.Serve"),
            (26, 26, "function", "New"),
        ],
    ),
    "Basket.java": (
        JAVA,
        [
            (1, 4, "module", ""),
            (5, 25, "class", "Basket"),
            (10, 12, "function", "Basket.Basket"),
            (14, 20, "function", "Basket.add"),
            (22, 24, "class", "Basket.Visitor"),
            (23, 23, "function", "Basket.Visitor.visit"),
        ],
    ),
    "lib.js": (
        JAVASCRIPT,
        [
            (1, 4, "module", ""),
            (5, 6, "function", "add"),
            (8, 10, "function", "twice"),
            (12, 18, "function", "Response.send"),
            (20, 28, "class", "Queue"),
            (21, 23, "function", "Queue.push"),
            (25, 27, "function", "Queue.#drain"),
            (30, 37, "module", "api"),
            (31, 33, "function", "api.get"),
            (34, 36, "function", "api.post"),
            (39, 41, "function", "default"),
        ],
    ),
    "service.ts": (
        TYPESCRIPT,
        [
            (1, 2, "module", ""),
            (3, 6, "class", "Options"),
            (8, 8, "class", "Handler"),
            (10, 21, "class", "Service"),
            (12, 14, "function", "Service.constructor"),
            (16, 20, "function", "Service.start"),
            (23, 27, "class", "Shapes"),
            (24, 26, "function", "Shapes.area"),
            (29, 32, "function", "useThing"),
        ],
    ),
    "button.tsx": (TSX, [(1, 3, "function", "Button")]),
    "cache.rs": (
        RUST,
        [
            (1, 3, "module", ""),
            (4, 5, "module", "SIZE"),
            (6, 10, "class", "Cache"),
            (12, 17, "class", "Cache"),
            (13, 16, "function", "Cache.new"),
            (19, 23, "class", "Cache"),
            (20, 22, "function", "Cache.fmt"),
            (25, 27, "class", "Store"),
            (26, 26, "function", "Store.put"),
        ],
    ),
    "list.c": (
        C,
        [
            (1, 2, "module", ""),
            (3, 4, "module", "LIMIT"),
            (5, 8, "class", "Point"),
            (10, 14, "function", "length"),
            (16, 16, "module", ""),
            (17, 22, "function", "dump"),
            (24, 27, "function", "chooser"),
        ],
    ),
    "shape.cpp": (
        CPP,
        [
            (1, 4, "module", ""),
            (5, 10, "class", "Shape"),
            (8, 8, "function", "Shape.~Shape"),
            (12, 15, "function", "largest"),
            (17, 19, "function", "Shape.operator=="),
            (21, 23, "function", "Shape.Shape"),
        ],
    ),
    "Basket.cs": (
        CSHARP,
        [
            (1, 4, "module", ""),
            (5, 25, "class", "Basket"),
            (11, 11, "function", "Basket.Basket"),
            (13, 17, "function", "Basket.Add"),
            (19, 22, "function", "Basket.Total"),
            (24, 24, "class", "Basket.Line"),
        ],
    ),
    "basket.rb": (
        RUBY,
        [
            (1, 2, "module", ""),
            (3, 18, "class", "Shop"),
            (4, 17, "class", "Shop.Basket"),
            (6, 10, "function", "Shop.Basket.add"),
            (12, 12, "function", "Shop.Basket.build"),
            (14, 16, "function", "Shop.Basket.secret"),
        ],
    ),
    "basket.php": (
        PHP,
        [
            (1, 3, "module", ""),
            (4, 5, "module", "LIMIT"),
            (6, 15, "class", "Basket"),
            (10, 14, "function", "Basket.add"),
            (17, 17, "function", "total"),
        ],
    ),
    "deploy.sh": (
        BASH,
        [
            (1, 3, "module", ""),
            (4, 7, "function", "build"),
            (9, 11, "function", "deploy"),
            (13, 13, "module", ""),
        ],
    ),
    "basket.kt": (
        KOTLIN,
        [(1, 2, "module", ""), (3, 9, "class", "Basket"), (5, 8, "function", "Basket.add"), (11, 11, "function", "shout")],
    ),
    "basket.swift": (
        SWIFT,
        [
            (1, 6, "class", "Basket"),
            (3, 5, "function", "Basket.init"),
            (8, 10, "class", "Basket"),
            (9, 9, "function", "Basket.clear"),
        ],
    ),
    "basket.scala": (SCALA, [(1, 2, "module", ""), (3, 7, "class", "Basket"), (5, 6, "function", "Basket.add")]),
    "m.lua": (LUA, [(1, 2, "module", "M"), (3, 6, "function", "M.add"), (8, 10, "function", "M.total")]),
    "goods.sql": (SQL, [(1, 4, "class", "shop.goods"), (6, 6, "class", "cheap")]),
    "shop.proto": (
        PROTO,
        [
            (1, 2, "module", "syntax"),
            (3, 6, "class", "Basket"),
            (8, 11, "class", "Shop"),
            (9, 10, "function", "Shop.Add"),
        ],
    ),
}


@pytest.mark.parametrize("path", CASES)
def test_a_source_gives_its_definitions_with_their_lines(path: str) -> None:
    source, expected = CASES[path]
    assert outline(chunks_of(path, source)) == expected


@pytest.mark.parametrize(
    ("path", "symbol", "docstring"),
    [
        ("basket.py", "Basket.total", "The sum of all prices."),
        ("web.go", "Server", "Server serves requests.\nIt is safe."),
        ("Basket.java", "Basket.add", "Adds an item."),
        ("lib.js", "Response.send", "Sends."),
        ("service.ts", "Service.start", "Starts."),
        ("cache.rs", "Cache", "A cache."),
        ("list.c", "length", "Returns the length,\nin nodes."),
        ("shape.cpp", "Shape", "A shape."),
        ("Basket.cs", "Basket", "A basket of Item."),
        ("basket.rb", "Shop.Basket.add", "Adds an item.\nTwice."),
        ("basket.php", "Basket.add", "Adds."),
        ("deploy.sh", "build", "Builds it."),
        ("basket.kt", "Basket", "A basket."),
        ("m.lua", "M.add", "Adds."),
        ("goods.sql", "shop.goods", "All goods."),
    ],
)
def test_documentation_is_freed_of_its_marks(path: str, symbol: str, docstring: str) -> None:
    found = [chunk.docstring for chunk in chunks_of(path, CASES[path][0]) if chunk.symbol == symbol]
    assert found[0] == docstring


@pytest.mark.parametrize(
    ("path", "symbol", "signature"),
    [
        ("basket.py", "Basket", "class Basket(Base, abc.Sized, metaclass=Meta)"),
        ("basket.py", "Basket.total", "def total(self) -> int"),
        ("basket.py", "load", "async def load( path: str, ) -> Basket"),
        ("web.go", "Server.Serve", "func (s *Server[T]) Serve(ctx context.Context) error"),
        ("Basket.java", "Basket.add", "public void add(T item)"),
        ("lib.js", "add", "const add = (a, b)"),
        ("service.ts", "Service.start", "async start(): Promise<void>"),
        ("cache.rs", "Store.put", "fn put(&mut self, k: u8)"),
        ("shape.cpp", "largest", "template <typename T> T largest(const std::vector<T>& v)"),
        ("Basket.cs", "Basket", "public class Basket : Base<int>, IPriced"),
        ("basket.php", "Basket", "final class Basket extends Base implements Priced"),
    ],
)
def test_a_signature_is_the_header_on_one_line(path: str, symbol: str, signature: str) -> None:
    found = [chunk.signature for chunk in chunks_of(path, CASES[path][0]) if chunk.symbol == symbol]
    assert found[0] == signature


@pytest.mark.parametrize(
    ("path", "symbol", "parents"),
    [
        ("basket.py", "Basket", ("Base", "abc.Sized")),
        ("web.go", "Server", ("http.Handler",)),
        ("Basket.java", "Basket", ("Base", "Priced", "Serializable")),
        ("lib.js", "Queue", ("events.EventEmitter",)),
        ("service.ts", "Service", ("Parent", "OnInit")),
        ("cache.rs", "Store", ("Send", "Sync")),
        ("shape.cpp", "Shape", ("Base", "Other")),
        ("Basket.cs", "Basket", ("Base", "IPriced")),
        ("basket.rb", "Shop.Basket", ("Base::Thing",)),
        ("basket.php", "Basket", ("Base", "Priced")),
        ("basket.kt", "Basket", ("Base", "Priced")),
        ("basket.swift", "Basket", ("Base", "Priced")),
        ("basket.scala", "Basket", ("Base", "Priced")),
    ],
)
def test_parents_are_the_types_a_class_builds_on(path: str, symbol: str, parents: tuple[str, ...]) -> None:
    found = [chunk.parents for chunk in chunks_of(path, CASES[path][0]) if chunk.symbol == symbol]
    assert found[0] == parents


@pytest.mark.parametrize(
    ("path", "symbol", "calls"),
    [
        ("basket.py", "load", ("Basket", "os.read")),
        ("web.go", "Server.Serve", ("s.listen", "fmt.Sprint")),
        ("Basket.java", "Basket.add", ("add",)),
        ("lib.js", "twice", ("f",)),
        ("service.ts", "Service.start", ("HostListener", "this.http.get")),
        ("cache.rs", "Cache.fmt", ("write",)),
        ("list.c", "dump", ("printf",)),
        ("shape.cpp", "largest", ("std::max_element", "v.begin", "v.end")),
        ("basket.php", "total", ("array_sum",)),
        ("deploy.sh", "deploy", ("build", "scp")),
    ],
)
def test_calls_are_named_as_written(path: str, symbol: str, calls: tuple[str, ...]) -> None:
    found = [chunk.calls for chunk in chunks_of(path, CASES[path][0]) if chunk.symbol == symbol]
    assert found[0] == calls


@pytest.mark.parametrize(
    ("path", "symbol", "scope"),
    [
        ("basket.py", "Basket.total", "Basket"),
        ("basket.py", "load", ""),
        ("shape.cpp", "Shape.Shape", "geo.Shape"),
        ("Basket.cs", "Basket.Add", "Shop.Core.Basket"),
        ("basket.php", "total", "Shop.Core"),
    ],
)
def test_the_scope_is_the_class_or_namespace_around(path: str, symbol: str, scope: str) -> None:
    found = [chunk.scope for chunk in chunks_of(path, CASES[path][0]) if chunk.symbol == symbol]
    assert found[0] == scope
