@main[]
$n(^env:N.int(5))
$h[^hash::create[]]
^for[i](1;$n * 3000){$k[key ^eval($i % 1000)]$h.$k[$.n($i)$.text[value $i of many]]}
^h._count[]
$text[^for[i](1;$n * 2000){$i,}]
^text.length[]
$parts[^text.split[,;v]]
^parts.count[]
^parts.sort($parts.piece)
^parts.menu{^if(^parts.line[] % 1000 == 1){$parts.piece }}
