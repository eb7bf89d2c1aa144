# For nix-instantiate --eval: lists, attribute sets, strings and closures, n times.
{ n ? 4 }:
let
  range = a: b: if a > b then [ ] else builtins.genList (i: a + i) (b - a + 1);
  sum = builtins.foldl' (a: b: a + b) 0;
  fib = k: if k < 2 then k else fib (k - 1) + fib (k - 2);
  attrs = k: builtins.listToAttrs (map (i: { name = "k${toString i}"; value = { inherit i; s = toString (i * 7919); }; }) (range 1 k));
  merge = k: builtins.foldl' (a: i: a // { "m${toString (i - (i / 97) * 97)}" = i; }) { } (range 1 k);
  words = k: builtins.concatStringsSep "," (map (i: builtins.substring 0 5 (builtins.hashString "sha256" (toString i))) (range 1 k));
  primes = k: builtins.filter (p: builtins.all (d: p - (p / d) * d != 0) (range 2 (builtins.floor (p / 2.0)))) (range 2 k);
in
map (round: {
  fib = fib 20;
  attrs = builtins.length (builtins.attrNames (attrs 3000));
  sum = sum (map (a: a.i) (builtins.attrValues (attrs 3000)));
  merge = builtins.attrNames (merge 3000) == builtins.attrNames (merge 3000);
  words = builtins.hashString "sha256" (words (2000 + round));
  primes = sum (primes 400);
  json = builtins.stringLength (builtins.toJSON (attrs 2000));
}) (range 1 n)
