# For crystal: trees, strings, hashes, fibers and channels, a finalizer. Built by the compiler, which is a workload itself.
class Node
  property left : Node?
  property right : Node?
  def initialize(@left = nil, @right = nil)
  end
  def count : Int32
    1 + (left.try(&.count) || 0) + (right.try(&.count) || 0)
  end
end

def tree(depth) : Node
  depth == 0 ? Node.new : Node.new(tree(depth - 1), tree(depth - 1))
end

class Mortal
  @@dead = 0
  def self.dead
    @@dead
  end
  def initialize(@name : String)
  end
  def finalize
    @@dead += 1
  end
end

n = (ARGV[0]? || "4").to_i
long = tree(14)
puts (1..n * 10).sum { tree(12).count }
puts long.count

counts = Hash(String, Int32).new(0)
(n * 30000).times { |i| counts["key #{i % 5000}"] += 1 }
puts counts.size, counts.values.sum

channel = Channel(String).new(16)
done = Channel(Int32).new
8.times do |k|
  spawn do
    (n * 1000).times { |i| channel.send("#{k}:#{i}" * 3) }
    channel.send("end")
  end
end
spawn do
  ends = 0
  total = 0
  while ends < 8
    text = channel.receive
    text == "end" ? (ends += 1) : (total += text.size)
  end
  done.send(total)
end
puts done.receive

(n * 2000).times { |i| Mortal.new("mortal #{i}") }
GC.collect
puts Mortal.dead > n * 1000
puts (1..n * 200).map { |i| (1..200).map { |k| (i * k).to_s }.join(",").size }.sum
