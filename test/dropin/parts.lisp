;; For ecl, with gcbench.lisp loaded: one part of it alone, or compiling. (part NAME N)
(defun compiling (n)
  (loop for i below n collect
    (funcall (compile nil `(lambda (x) (let ((l (list x ,i))) (dotimes (k 20) (push (* k ,i) l)) (reduce #'+ l)))) i)))
(defun part (name n)
  (prin1 (case name
           (cons (loop repeat n collect (length (sort (loop for i below 20000 collect (mod (* i 7919) 10007)) #'<))))
           (threads (threads n))
           (weak (loop repeat n always (weak 20000)))
           (finals (loop repeat n always (finals 2000)))
           (trees (trees n))))
  (terpri))
