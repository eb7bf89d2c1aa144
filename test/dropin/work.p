@main[]
$table(0)
$rounds(^env:N.int(5))
$sum(0)
^for[r](1;$rounds){^sum.inc(^round($r))^memory:compact[]}
$sum
^last[]

@round[r][i;h;text;parts;list;key]
$h[^hash::create[]]
^for[i](1;6000){$key[key ^eval($i * $r % 1000)]$h.$key[$.n($i)$.text[value $i of round $r]$.list[^hash::create[]]]}
$text[^for[i](1;4000){$i $r,}]
$parts[^text.split[,;v]]
^parts.sort{$parts.piece}
$list[^hash::create[]]
^parts.menu{$list.[^parts.piece.upper[]][^parts.piece.replace[1;one]]}
^h.foreach[k;v]{$v.list.[$v.n][^v.text.match[(\d+)][g]{<$match.1>}]}
$result(^h._count[] + ^list._count[] + ^text.length[])

@last[][t]
$t[^table::create{name	value
^for[i](1;9){name $i	^eval($i * 7)
}}]
^t.menu{$t.name=$t.value^;}
